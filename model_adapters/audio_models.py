"""Audio models that chat and that vLLM 0.32 has classes for: the table of our entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sensorium.model_adapters.audio_model import AudioModel

__all__ = ["AUDIO_MODELS", "audio_model", "find_audio_model"]

_PROOF = "tests/families/test_audio_chat.py"
_REMOTE = (
    "`--trust-remote-code`: its configuration and processors are code in the checkpoint's "
    "repository; that code could not be had here, small stand-ins take its place in the proof"
)

AUDIO_MODELS = (
    AudioModel(
        name="qwen2-audio",
        title="Qwen2-Audio",
        checkpoints=("Qwen/Qwen2-Audio-7B", "Qwen/Qwen2-Audio-7B-Instruct"),
        architectures=("Qwen2AudioForConditionalGeneration",),
        placeholder="Audio 1: <|audio_bos|><|AUDIO|><|audio_eos|>",
        tokens_per_second=25,
        seconds=30,
        limits=(
            "the encoder has positions for 30 s; its processor, and stock vLLM with it, drops what "
            "comes after without a word"
        ),
        proof=_PROOF,
        sources=(
            "huggingface/transformers, models/qwen2_audio/processing_qwen2_audio.py",
            "vllm-project/vllm#9248",
        ),
    ),
    AudioModel(
        name="ultravox",
        title="Ultravox",
        checkpoints=(
            "fixie-ai/ultravox-v0_4_1-llama-3_1-{8b,70b}",
            "fixie-ai/ultravox-v0_5-llama-3_{2-1b,1-8b,3-70b}",
        ),
        architectures=("UltravoxModel",),
        placeholder="<|audio|>",
        tokens_per_second=6.25,
        window=30,
        limits=(
            "the processor is ours: no remote code, and Whisper's own processor is not fetched; "
            "towers other than Whisper are not served; a sound is heard the same whatever stands "
            "beside it, which in stock vLLM it is not; `audio_latency_block_size` is not applied"
        ),
        proof=_PROOF,
        sources=(
            "fixie-ai/ultravox, ultravox/model/ultravox_processing.py and ultravox_model.py",
            "vllm-project/vllm, model_executor/models/ultravox.py",
        ),
    ),
    AudioModel(
        name="voxtral",
        title="Voxtral",
        checkpoints=("mistralai/Voxtral-Mini-3B-2507", "mistralai/Voxtral-Small-24B-2507"),
        architectures=("VoxtralForConditionalGeneration",),
        placeholder="[BEGIN_AUDIO][AUDIO]",
        tokens_per_second=12.5,
        window=30,
        sounds=5,
        generation={"temperature": 0.2, "top_p": 0.95},
        limits=(
            "Mistral's layout (`params.json`, `consolidated.safetensors`, `tekken.json`); a sound "
            "is filled with silence to a multiple of 30 s, so a short one takes 375 tokens; the "
            "authors say up to 40 minutes in a context of 32k"
        ),
        proof=_PROOF,
        sources=(
            "mistralai/Voxtral-Mini-3B-2507, README.md",
            "mistralai/mistral-common, tokens/tokenizers/audio.py",
            "vllm-project/vllm, model_executor/models/voxtral.py",
        ),
    ),
    AudioModel(
        name="granite-speech",
        title="Granite Speech",
        checkpoints=("ibm-granite/granite-speech-3.3-{2b,8b}", "ibm-granite/granite-4.0-1b-speech"),
        architectures=("GraniteSpeechForConditionalGeneration",),
        placeholder="<|audio|>",
        tokens_per_second=10,
        sounds=1,
        limits=(
            "one over 500 s takes more tokens than the engine makes room for and is refused; where "
            "torchaudio is missing the spectrum is computed by ours; a checkpoint with a LoRA for "
            "sounds needs `--enable-lora --max-lora-rank 64` and `--default-mm-loras` naming it "
            "for `audio`, which was not tried here; a sound is heard the same whatever is asked at "
            "the same time, which in stock vLLM it is not; `logits_scaling` is applied, as the "
            "authors do and transformers 5.19 does not"
        ),
        proof=_PROOF,
        sources=(
            "huggingface/transformers, models/granite_speech/feature_extraction_granite_speech.py",
            "vllm-project/vllm, model_executor/models/granite_speech.py",
        ),
    ),
    AudioModel(
        name="qwen2.5-omni",
        title="Qwen2.5-Omni's thinker",
        checkpoints=("Qwen/Qwen2.5-Omni-7B", "Qwen/Qwen2.5-Omni-3B"),
        architectures=("Qwen2_5OmniModel", "Qwen2_5OmniForConditionalGeneration"),
        modalities=("text", "image", "video", "audio"),
        placeholder="<|audio_bos|><|AUDIO|><|audio_eos|>",
        tokens_per_second=25,
        window=2,
        limits=(
            "answers are texts: the talker is not loaded; transformers' processor cuts a sound at "
            "300 s, here it is heard to its end; one that takes more tokens than "
            "`--max-num-batched-tokens` is refused"
        ),
        proof=_PROOF,
        sources=(
            "huggingface/transformers, models/qwen2_5_omni/processing_qwen2_5_omni.py",
            "vllm-project/vllm, model_executor/models/qwen2_5_omni_thinker.py",
        ),
    ),
    AudioModel(
        name="qwen3-omni",
        title="Qwen3-Omni's thinker",
        checkpoints=(
            "Qwen/Qwen3-Omni-30B-A3B-Instruct",
            "Qwen/Qwen3-Omni-30B-A3B-Thinking",
            "Qwen/Qwen3-Omni-30B-A3B-Captioner",
        ),
        architectures=("Qwen3OmniMoeForConditionalGeneration",),
        modalities=("text", "image", "video", "audio"),
        placeholder="<|audio_start|><|audio_pad|><|audio_end|>",
        tokens_per_second=13,
        window=8,
        limits=(
            "answers are texts: the talker is not loaded; one sound that takes more tokens than "
            "`--max-num-batched-tokens` is refused; a sound is filled with silence to a whole "
            "hundredth of a second, of which transformers drops an incomplete last one where a "
            "sound stands alone; the model `demo` is of this architecture"
        ),
        proof=_PROOF,
        sources=(
            "huggingface/transformers, models/qwen3_omni_moe/processing_qwen3_omni_moe.py",
            "vllm-project/vllm, model_executor/models/qwen3_omni_moe_thinker.py",
        ),
    ),
    AudioModel(
        name="phi-4-multimodal",
        title="Phi-4-multimodal",
        checkpoints=("microsoft/Phi-4-multimodal-instruct",),
        architectures=("Phi4MMForCausalLM",),
        modalities=("text", "image", "audio"),
        placeholder="<|audio_1|>",
        tokens_per_second=12.5,
        window=40,
        limits=(
            "its LoRAs for sounds and pictures are switched on by `--enable-lora` only, which was "
            "not tried here; one sound that takes more tokens than `--max-num-batched-tokens` is "
            "refused; transformers' own class for it has another layout, which vLLM 0.32 does not "
            "read"
        ),
        needs=_REMOTE,
        proof=_PROOF,
        sources=(
            "huggingface/transformers, models/phi4_multimodal/",
            "vllm-project/vllm, model_executor/models/phi4mm.py",
        ),
    ),
    AudioModel(
        name="gemma-3n",
        title="Gemma 3n",
        checkpoints=("google/gemma-3n-E2B-it", "google/gemma-3n-E4B-it"),
        architectures=("Gemma3nForConditionalGeneration",),
        modalities=("text", "image", "audio"),
        placeholder="<audio_soft_token>",
        tokens_per_second=6.25,
        seconds=30,
        limits=(
            "every sound takes 188 tokens; stock vLLM drops what comes after 30 s without a word; "
            "the marks that end a sound and a picture are embedded by the authors' embedders, "
            "which in stock vLLM they are not"
        ),
        needs="timm (the extra `timm`), of which its vision tower is made",
        proof=_PROOF,
        sources=(
            "huggingface/transformers, models/gemma3n/modeling_gemma3n.py",
            "ai.google.dev/gemma/docs/capabilities/audio",
            "vllm-project/vllm, model_executor/models/gemma3n_mm.py",
        ),
    ),
    AudioModel(
        name="minicpm-o",
        title="MiniCPM-o",
        checkpoints=("openbmb/MiniCPM-o-2_6", "openbmb/MiniCPM-o-4_5"),
        architectures=("MiniCPMO",),
        modalities=("text", "image", "video", "audio"),
        placeholder="(<audio>./</audio>)",
        tokens_per_second=27,
        window=30,
        limits=(
            "version 4.5 takes 12 tokens a second and was not tried; answers are texts; a sound is "
            "heard the same whatever is asked at the same time, which in stock vLLM it is not; one "
            "that takes more tokens than `--max-num-batched-tokens` is refused; sounds are taken "
            "without pictures and videos too (`--limit-mm-per-prompt`), which in stock vLLM they "
            "are not"
        ),
        needs=_REMOTE,
        proof=_PROOF,
        sources=(
            "OpenBMB/MiniCPM-o, modeling_minicpmo.py and processing_minicpmo.py",
            "vllm-project/vllm, model_executor/models/minicpmo.py",
        ),
    ),
)


def audio_model(name: str) -> AudioModel | None:
    """The entry of that name."""
    return next((model for model in AUDIO_MODELS if model.name == name), None)


def find_audio_model(raw: Mapping[str, Any]) -> AudioModel | None:
    """The entry that a checkpoint's config belongs to, None for what is no such model."""
    architectures = raw.get("architectures") or ()
    for model in AUDIO_MODELS:
        if set(model.architectures) & set(architectures):
            return model
    return None
