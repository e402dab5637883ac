"""Families that vLLM itself has, with their features gathered and merged by our operators.

Those of audio models beside Qwen2-Audio keep vLLM's computation; they mend what comes before it.

A class here is vLLM's own with a method or two in the place of vLLM's; parameters, names and
loading stay as they are. Architectures are replaced by name, so that nothing is imported before a
model asks for it.
"""

from __future__ import annotations

__all__ = ["ARCHITECTURES"]

_HERE = "sensorium.model_adapters.engine.native"
ARCHITECTURES = {
    "LlavaForConditionalGeneration": f"{_HERE}.llava:Llava",
    "LlavaNextForConditionalGeneration": f"{_HERE}.llava:LlavaNext",
    "InternVLChatModel": f"{_HERE}.internvl:InternVL",
    "Idefics3ForConditionalGeneration": f"{_HERE}.idefics3:Idefics3",
    "SmolVLMForConditionalGeneration": f"{_HERE}.idefics3:SmolVLM",
    "Qwen2VLForConditionalGeneration": f"{_HERE}.qwen2_vl:Qwen2VL",
    "Qwen2_5_VLForConditionalGeneration": f"{_HERE}.qwen2_5_vl:Qwen2_5_VLForConditionalGeneration",
    "Qwen3VLForConditionalGeneration": f"{_HERE}.qwen3_vl:Qwen3VLForConditionalGeneration",
    "Qwen3VLMoeForConditionalGeneration": f"{_HERE}.qwen3_vl:Qwen3VLMoeForConditionalGeneration",
    "Qwen3_5ForConditionalGeneration": f"{_HERE}.qwen3_vl:Qwen3_5ForConditionalGeneration",
    "Qwen3_5MoeForConditionalGeneration": f"{_HERE}.qwen3_vl:Qwen3_5MoeForConditionalGeneration",
    "Qwen2_5OmniModel": f"{_HERE}.qwen_omni:Qwen2_5OmniThinkerForConditionalGeneration",
    "Qwen2_5OmniForConditionalGeneration": (
        f"{_HERE}.qwen_omni:Qwen2_5OmniThinkerForConditionalGeneration"
    ),
    "Qwen3OmniMoeForConditionalGeneration": (
        f"{_HERE}.qwen_omni:Qwen3OmniMoeThinkerForConditionalGeneration"
    ),
    "Mistral3ForConditionalGeneration": f"{_HERE}.mistral3:Mistral3",
    "DeepseekVLV2ForCausalLM": f"{_HERE}.deepseek_vl2:DeepseekVL2",
    "Qwen2AudioForConditionalGeneration": f"{_HERE}.qwen2_audio:Qwen2Audio",
    "Gemma3nForConditionalGeneration": f"{_HERE}.gemma3n:Gemma3n",
    "GraniteSpeechForConditionalGeneration": f"{_HERE}.granite_speech:GraniteSpeech",
    "MiniCPMO": f"{_HERE}.minicpmo:MiniCPMO",
    "UltravoxModel": f"{_HERE}.ultravox:Ultravox",
    "PaliGemmaForConditionalGeneration": f"{_HERE}.paligemma:PaliGemma",
    "Gemma3ForConditionalGeneration": f"{_HERE}.gemma3:Gemma3",
}
