"""Where an image stands that a request has after its text: as each style's authors write it.

Most authors' scripts put images before the question, and LLaVA's training moves them there
(haotian-liu/LLaVA, llava/train/train.py, `preprocess_multimodal`; the `cli.py` or `run_*.py` of
Bunny, ConvLLaVA, MobileVLM, mPLUG-Owl2, TinyLLaVA, VILA, Video-LLaVA and Yi; groundingLMM, app.py;
vikhyat/moondream, moondream.py; apple/ml-ferret, ferret/eval/model_gpt4eval_3newclass.py;
OPPOMKLab/u-LLaVA, evaluation/inference_ullava.py; apple/ml-slowfast-llava, prompt.py, and
ShareGPT4Omni/ShareGPT4Video, run.py, for videos). Some put them after it whatever the order
(LinkSoul-AI/Chinese-LLaVA, cli.py; pleisto/yuren-baichuan-7b, app.py; RupertLuo/Valley,
run_valley.py; mbzuai-oryx/Video-ChatGPT, video_chatgpt/inference.py, for videos), and some keep the
order (Qwen/Qwen-VL-Chat, tokenization_qwen.py, `from_list_format`; deepseek-ai/DeepSeek-VL,
README.md; TIGER-AI-Lab/Mantis, mantis/models/mllava/processing_llava.py).
"""

from __future__ import annotations

import pytest

from sensorium.model_adapters.families.qwen_vl import SPEC as QWEN_VL
from sensorium.model_adapters.prompt_style import IMAGE_MARK, PromptStyle, Turn
from tests.families.test_prompts import by_template
from tests.families.written_prompts import WRITTEN

BEFORE = "<image>\nQ1"
OTHERWISE = {
    "mplug_owl2": "<image>Q1",
    "moondream1": "<image><image></image>\n\nQuestion: Q1",
    "moondream2": "<image>\n\nQuestion: Q1",
    "moondream2_march": "<image>\n\nQuestion: Q1",
    "mantis": "Q1(image 1: <Image><image></Image>) ",
    "glamm": "The <image> provides an overview of the picture.\nQ1",
    "u_llava": "USER: <img_beg><image></img_end>\nQ1",
    "chinese_llava_llama_2": "Q1\n<image>",
    "chinese_llava_baichuan": "Q1\n<image>",
    "yuren": "Q1<|img_start|><image><|img_end|>",
    "valley": "Q1\n<im_start><image><vi_end>",
    "deepseek": "User: Q1<image>\n\n",
    "qwen_vl": "user\nQ1Picture 1: <img><image></img>\n<|im_end|>",
    "qwen_vl_base": "Q1Picture 1: <img><image></img>\n",
}
STYLES = [*(entry[0] for entry in WRITTEN), *QWEN_VL.styles()]


def test_every_style_is_asked() -> None:
    assert OTHERWISE.keys() <= {style.name for style in STYLES}


@pytest.mark.parametrize("style", STYLES, ids=lambda style: str(style.name))
def test_an_image_after_the_question(style: PromptStyle) -> None:
    turn: Turn = ("user", f"Q1\n{IMAGE_MARK}" if style.in_place else f"{IMAGE_MARK}\nQ1")
    shown = (turn[0], turn[1].replace(IMAGE_MARK, "<image>"))
    written = OTHERWISE.get(style.name, BEFORE)
    assert written in style.render([shown])
    assert by_template(style, [turn]).replace(IMAGE_MARK, "<image>") == style.render([shown])
    assert style.render([shown]).count("<image>") == written.count("<image>")


@pytest.mark.parametrize("name", ["deepseek", "mantis", "qwen_vl"])
def test_images_among_texts(name: str) -> None:
    """Only the newlines go that stand between the parts of a request."""
    style = next(style for style in STYLES if style.name == name)
    image = style.image.replace("{image}", IMAGE_MARK)
    one, two = (image.replace("{number}", number) for number in "12")
    content = f"A\n\n{IMAGE_MARK}\n{IMAGE_MARK}\n\nB"
    assert f"A\n{one}{two}\nB" in by_template(style, [("user", content)])
