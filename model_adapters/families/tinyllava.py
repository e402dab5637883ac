"""TinyLLaVA, as its Factory writes checkpoints: three parts with a config each.

Facts: TinyLLaVA/TinyLLaVA_Factory at f6d1b5d, tinyllava/model/ (`vision_tower/base.py` cuts the
first row off SigLIP's features too, which have no class token), tinyllava/data/ (image_preprocess,
template/), tinyllava/eval/run_tiny_llava.py, which follows the config's `image_aspect_ratio`.
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import GEMMA, LLAMA, PHI, QWEN2, STABLELM
from sensorium.model_adapters.prompts import TINYLLAVA, TINYLLAVA_GEMMA, VICUNA_V1
from sensorium.model_adapters.readers.tinyllava import read_tinyllava
from sensorium.model_adapters.spec import FamilySpec, Tokenizer, Tower

__all__ = ["SPEC"]

# Words of Gemma's vocabulary that its tokenizer.json lists as added tokens.
_HTML = (
    "</?(table|caption|thead|tbody|tfoot|tr|th|td|h[1-6]|blockquote|strong|em|b|i|u|sub|sup|code)>"
)
_LANGUAGE_MODELS = (PHI, GEMMA, QWEN2, STABLELM, LLAMA)

SPEC = FamilySpec(
    name="tinyllava",
    title="TinyLLaVA",
    checkpoints=(
        "tinyllava/TinyLLaVA-Phi-2-SigLIP-3.1B",
        "tinyllava/TinyLLaVA-Gemma-SigLIP-2.4B",
        "Zhang199/TinyLLaVA-Qwen2-0.5B-SigLIP",
        "Zhang199/TinyLLaVA-Qwen2.5-3B-SigLIP",
    ),
    language_models={model.architecture: model for model in _LANGUAGE_MODELS},
    prompts={"": TINYLLAVA, "GemmaForCausalLM": TINYLLAVA_GEMMA, "LlamaForCausalLM": VICUNA_V1},
    tower=Tower(kinds=("siglip", "clip"), drops_first_patch=True),
    tokenizer=Tokenizer(slow_llama=True, cuts_vocabulary=False, in_text=_HTML),
    weights=(
        ("vision_tower._vision_tower.", "vision_tower."),
        ("connector._connector.", "projector."),
        ("language_model.", "language_model."),
    ),
    read=lambda raw: read_tinyllava(raw, _LANGUAGE_MODELS),
    limits=(
        "one image in the authors' scripts, several are taken; not on OpenELM (0.89B), which vLLM "
        "does not have, not with a resampler or a mixture of towers"
    ),
    proof="tests/families/test_tinyllava.py",
)
