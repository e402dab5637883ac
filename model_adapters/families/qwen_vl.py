"""Qwen-VL-Chat, and Qwen-VL, the base model, which continues what it is given.

Facts: QwenLM/Qwen-VL, README.md; Qwen/Qwen-VL-Chat, visual.py, tokenization_qwen.py
(`from_list_format`, the newer of two published snapshots: a space after `Picture 1:`),
qwen_generation_utils.py.
"""

from __future__ import annotations

from dataclasses import replace

from sensorium.model_adapters.language_models import QWEN
from sensorium.model_adapters.language_models.qwen import QWEN_CHATML, QWEN_VL_TOKENIZER
from sensorium.model_adapters.prompt_style import PromptStyle
from sensorium.model_adapters.readers.qwen_vl import read_qwen_vl
from sensorium.model_adapters.spec import FamilySpec, Tokenizer, Tower

__all__ = ["SPEC"]

_STYLE = replace(
    QWEN_CHATML, name="qwen_vl", image="Picture {number}: <img>{image}</img>\n", in_place=True
)
_BASE = PromptStyle(
    name="qwen_vl_base",
    system="",
    user="{text}",
    assistant="{text}",
    generation="",
    image=_STYLE.image,
    in_place=True,
)

SPEC = FamilySpec(
    name="qwen-vl",
    title="Qwen-VL-Chat and Qwen-VL",
    checkpoints=("Qwen/Qwen-VL-Chat", "Qwen/Qwen-VL"),
    language_models={"QWenLMHeadModel": replace(QWEN, tokenizer=QWEN_VL_TOKENIZER)},
    prompts={"": _STYLE},
    named_prompts=((r"^qwen-vl$", _BASE),),
    tower=Tower(kinds=("qwen-vl",), select_layer=-1, keep_class_token=True),
    projectors=("resampler",),
    aspects={"square": "resize"},
    tokenizer=Tokenizer(cuts_vocabulary=False, in_text="</?(ref|box|quad)>"),
    weights=(
        ("transformer.visual.attn_pool.", "projector.attn_pool."),
        ("transformer.visual.ln_post.", "projector.ln_post."),
        ("transformer.visual.proj", "projector.proj"),
        ("transformer.visual.", "vision_tower."),
        ("transformer.", "language_model.transformer."),
        ("lm_head.", "language_model.lm_head."),
    ),
    read=read_qwen_vl,
    limits=(
        "the context ends at the trained `seq_length`; boxes are text between <ref> and <box> "
        "tokens, which `skip_special_tokens: false` shows and which count in questions too; the "
        "base model is told by its folder's name, `Qwen-VL` (or `--conversation "
        "qwen_vl_base`), and continues the bare question"
    ),
    proof="tests/families/test_qwen_vl.py",
)
