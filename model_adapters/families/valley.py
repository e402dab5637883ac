"""Valley: the mean of a video's frames, patch by patch, and the class token of each frame.

Facts: RupertLuo/Valley, valley/model/valley_model.py (features, `build_inputs`),
valley/util/data_util.py (`load_video`), valley/data/video_transform.py,
valley/inference/run_valley.py (the video's place),
valley/serve/model_worker.py and valley/data/dataset.py (images: a single frame),
valley/train/train.py (`use_fast=False`), pyproject.toml: its tokenizers 0.12.1 leave only the slow
Llama tokenizer (the fast one asks for 0.13.3), and its transformers, a commit of spring 2023, strip
the spaces around added tokens and know no `legacy`.
"""

from __future__ import annotations

from sensorium.model_adapters.language_models import LLAMA
from sensorium.model_adapters.readers.valley import read_valley
from sensorium.model_adapters.spec import LLAVA_WEIGHTS, FamilySpec, Tokenizer, Tower
from sensorium.model_adapters.video_prompts import VALLEY
from sensorium.model_adapters.videos import Video

__all__ = ["SPEC"]

SPEC = FamilySpec(
    name="valley",
    title="Valley",
    checkpoints=("luoruipu1/Valley2-7b",),
    language_models={"ValleyLlamaForCausalLM": LLAMA},
    prompts={"": VALLEY},
    tower=Tower(keep_class_token=True),
    projectors=("linear",),
    tokenizer=Tokenizer(slow_llama=True, cuts_vocabulary=False, legacy=True, strips=True),
    trained_tokens={
        "use_mm_proj": (
            "<im_patch>",
            "<vi_frame>",
            "<im_start>",
            "<im_end>",
            "<vi_start>",
            "<vi_end>",
        )
    },
    generation={"temperature": 0.2},
    video=Video(
        frames=8, size="bilinear_crop", reducer="mean_and_class", between="<im_end><vi_start>"
    ),
    weights=(("model.vision_tower.", "vision_tower."), *LLAVA_WEIGHTS),
    read=read_valley,
    modalities=("text", "image", "video"),
    limits=(
        "one image or video a conversation in the authors' code, several are taken; they stand "
        "after the question, as in the authors' script; an answer may begin with the word that the "
        "model was trained to write there; a question without an image or video is kept, where the "
        "authors' code drops it; not the checkpoints with trained pooling, and not Chinese Valley"
    ),
    proof="tests/families/test_valley.py",
)
