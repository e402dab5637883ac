"""The conversation styles that families were trained on; `prompt_style` says what one is."""

from __future__ import annotations

from dataclasses import replace

from sensorium.model_adapters.prompt_style import PIECE_MARK, PromptStyle

__all__ = [
    "BUNNY",
    "BUNNY_LLAMA",
    "CHATML_DIRECT",
    "CHINESE_BAICHUAN",
    "CHINESE_LLAMA_2",
    "DEEPSEEK_VL",
    "FERRET",
    "GLAMM",
    "LLAMA_2",
    "LLAMA_3",
    "LLAVA_V0",
    "LLAVA_V1",
    "MANTIS",
    "MISTRAL_INSTRUCT",
    "MOONDREAM1",
    "MOONDREAM2",
    "MOONDREAM2_MARCH",
    "MPLUG_OWL2",
    "QWEN_1_5",
    "STYLES",
    "TINYLLAVA",
    "TINYLLAVA_GEMMA",
    "U_LLAVA",
    "VICUNA_V1",
    "VILA_LLAMA_3",
    "VILA_LLAMA_3_MAY",
    "YI_VL",
    "YUREN",
]

_CURIOUS_USER = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
_CURIOUS_HUMAN = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)

VICUNA_V1 = PromptStyle(
    name="vicuna_v1",
    system=_CURIOUS_USER,
    system_format="{system} ",
    user="USER: {text} ",
    assistant="ASSISTANT: {text}</s>",
    generation="ASSISTANT:",
)
LLAVA_V1 = replace(VICUNA_V1, name="llava_v1", system=_CURIOUS_HUMAN)
LLAVA_V0 = PromptStyle(
    name="llava_v0",
    system=_CURIOUS_HUMAN,
    system_format="{system}###",
    user="Human: {text}###",
    assistant="Assistant: {text}###",
    generation="Assistant:",
    stops=("###",),
)
VIDEO_LLAVA = replace(LLAVA_V1, name="video_llava", in_a_line=True)
BUNNY = replace(VICUNA_V1, name="bunny", assistant="ASSISTANT: {text}<|endoftext|>")
BUNNY_LLAMA = replace(BUNNY, name="bunny_llama", assistant="ASSISTANT: {text}<|end_of_text|>")
TINYLLAVA = replace(BUNNY, name="tinyllava")
TINYLLAVA_GEMMA = replace(BUNNY, name="tinyllava_gemma", assistant="ASSISTANT: {text}<eos>")
LLAMA_2 = PromptStyle(
    name="llava_llama_2",
    system=(
        "You are a helpful language and vision assistant. "
        "You are able to understand the visual content that the user provides, "
        "and assist the user with a variety of tasks using natural language."
    ),
    first_user="[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{text} [/INST]",
    user="<s>[INST] {text} [/INST]",
    assistant=" {text} </s>",
    generation="",
)
MISTRAL_INSTRUCT = replace(
    LLAMA_2, name="mistral_instruct", system="", user="[INST] {text} [/INST]"
)
CHATML_DIRECT = PromptStyle(
    name="chatml_direct",
    system="Answer the questions.",
    system_format="<|im_start|>system\n{system}<|im_end|>",
    user="<|im_start|>user\n{text}<|im_end|>",
    assistant="<|im_start|>assistant\n{text}<|im_end|>",
    generation="<|im_start|>assistant\n",
    stops=("<|im_end|>",),
)
_HEADER = "<|start_header_id|>{role}<|end_header_id|>\n\n"
_USER_HEADER, _SYSTEM_HEADER, _ASSISTANT_HEADER = (
    _HEADER.format(role=role) for role in ("user", "system", "assistant")
)
# The authors write the BOS token out where their tokenizer adds one too: there are two.
VILA_LLAMA_3 = PromptStyle(
    name="vila_llama_3",
    system=LLAMA_2.system,
    system_format="<|begin_of_text|>" + _SYSTEM_HEADER + "{system}<|eot_id|>",
    user=_USER_HEADER + "{text}<|eot_id|>",
    assistant=_ASSISTANT_HEADER + "{text}<|eot_id|>",
    generation=_ASSISTANT_HEADER,
    stops=("<|eot_id|>",),
)
# As trained in May 2024: answers stand under the header "system".
VILA_LLAMA_3_MAY = replace(
    VILA_LLAMA_3,
    name="vila_llama_3_may",
    system_format="<|begin_of_text|>" + _SYSTEM_HEADER + "{system}<|end_of_text|>",
    user=_USER_HEADER + "{text}<|end_of_text|>",
    assistant=_SYSTEM_HEADER + "{text}<|end_of_text|>",
    generation=_SYSTEM_HEADER,
    stops=("<|end_of_text|>",),
)
YI_VL = PromptStyle(
    name="yi_vl",
    system=(
        "This is a chat between an inquisitive human and an AI assistant. "
        "Assume the role of the AI assistant. "
        "Read all the images carefully, and respond to the human's questions with informative, "
        "helpful, detailed and polite answers. "
        "这是一个好奇的人类和一个人工智能助手之间的对话。"
        "假设你扮演这个AI助手的角色。"
        "仔细阅读所有的图像，并对人类的问题做出信息丰富、有帮助、详细的和礼貌的回答。"
    ),
    system_format="{system}\n\n### ",
    user="Human: {text}\n### ",
    assistant="Assistant: {text}\n### ",
    generation="Assistant:",
    stops=("###",),
)
DEEPSEEK_VL = PromptStyle(
    name="deepseek",
    system=LLAMA_2.system,
    system_format="{system}\n\n",
    user="User: {text}\n\n",
    assistant="Assistant: {text}<｜end▁of▁sentence｜>",
    generation="Assistant:",
    image="{image}",
    in_place=True,
    strip=True,
    stops=("User:",),
)
QWEN_1_5 = PromptStyle(
    name="qwen_1_5",
    system="You are a helpful assistant.",
    system_format="<|im_start|>system\n{system}<|im_end|>\n",
    user="<|im_start|>user\n{text}<|im_end|>\n",
    assistant="<|im_start|>assistant\n{text}<|im_end|>\n",
    generation="<|im_start|>assistant\n",
    stops=("<|im_end|>",),
)
# As the tokenizer's own template writes it: the text begins with BOS beside the one that the
# tokenizer may add, and every message is stripped.
LLAMA_3 = PromptStyle(
    name="llava_llama_3",
    system=LLAMA_2.system,
    system_format=(
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{system}<|eot_id|>"
    ),
    user="<|start_header_id|>user<|end_header_id|>\n\n{text}<|eot_id|>",
    assistant="<|start_header_id|>assistant<|end_header_id|>\n\n{text}<|eot_id|>",
    generation="<|start_header_id|>assistant<|end_header_id|>\n\n",
    strip=True,
    stops=("<|eot_id|>",),
)

# The authors' default system text really is this one.
MANTIS = PromptStyle(
    name="mantis",
    system="You are a pirate chatbot who always responds in pirate speak!",
    system_format=_SYSTEM_HEADER + "{system}<|eot_id|>",
    user=_USER_HEADER + "{text}<|eot_id|>",
    assistant=_ASSISTANT_HEADER + "{text}<|eot_id|>",
    generation=_ASSISTANT_HEADER,
    image="(image {number}: <Image>{image}</Image>) ",
    in_place=True,
    stops=("<|eot_id|>",),
)
# The system text ends with a space of its own.
FERRET = replace(
    VICUNA_V1,
    name="ferret_v1",
    system=(
        "A chat between a human and an AI that understands visuals. "
        "In images, [x, y] denotes points: top-left [0, 0], bottom-right [width-1, height-1]. "
        "Increasing x moves right; y moves down. "
        "Bounding box: [x1, y1, x2, y2]. Image size: 1000x1000. "
        "Follow instructions. "
    ),
)
U_LLAVA = replace(LLAVA_V1, name="u_llava", image="<img_beg>{image}</img_end>\n")
GLAMM = replace(LLAVA_V1, name="glamm", image="The {image} provides an overview of the picture.\n")
# Each turn is tokenised alone there, after a BOS token.
CHINESE_LLAMA_2 = replace(
    LLAMA_2,
    name="chinese_llava_llama_2",
    first_user=f"[INST] <<SYS>>\n{{system}}\n<</SYS>>\n\n{{text}} [/INST] {PIECE_MARK}",
    user=f"<s>{PIECE_MARK}[INST] {{text}} [/INST] {PIECE_MARK}",
    assistant="{text} </s>",
    image="\n{image}",
    images_last=True,
    strip=True,
)
# The system text, a role and what is said are tokenised each alone.
CHINESE_BAICHUAN = PromptStyle(
    name="chinese_llava_baichuan",
    system=LLAMA_2.system,
    system_format=f"{{system}}{PIECE_MARK}",
    user=f"USER:{PIECE_MARK}{{text}}{PIECE_MARK}",
    assistant=f"ASSISTANT:{PIECE_MARK}{{text}}</s>{PIECE_MARK}",
    generation="ASSISTANT:",
    image="\n{image}",
    images_last=True,
    strip=True,
)
# The newlines of the authors' text stand beside added tokens, where their transformers strips them.
# Their system text goes on with the day's date.
YUREN = PromptStyle(
    name="yuren",
    system="""\
You are a helpful AI assistant named 羽人, developed by Pleisto.  Always remember that you are the \
AI assistant in this conversation.
    - Visual modality enabled.
    - You are fine-tuned based on the large language model baichuan-7b developed by 百川智能.
    - You cannot access the internet and cannot perform real-world actions like booking tickets, \
checking the weather, or accessing real-time information.
    - You are able to understand the visual content that the user provides, and assist the user \
with a variety of tasks using natural language.
    - You can fluently speak multiple languages, including Chinese and English. You should pay \
close attention to the conversation context, provide coherent and relevant responses, and avoid \
repeating previous answers unless it is necessary for clarity.
    - You can write articles, poems, code, songs, answer questions, and more.
    - You possess knowledge about the world, including common sense, history, science, culture, \
and more, but not everything.
    - Your responses are always positive, helpful, creative, high-quality, human-like, and \
interesting.
    - You must always be safe and unharmful to humans, and must obey 中国社会的主流价值观. You \
strictly refuses to discuss politics, religion, NSFW, abusive, and other sensitive topics.
    - Knowledge cutoff: 2023-05, human location: China""",
    system_format="<|im_start|>system\n{system}<|im_end|>",
    user="<|im_start|>user\n{text}<|im_end|>",
    assistant="<|im_start|>assistant\n{text}<|im_end|>",
    generation="<|im_start|>assistant\n",
    image="<|img_start|>{image}<|img_end|>",
    images_last=True,
    strip=True,
    stops=("<|im_end|>",),
)

MPLUG_OWL2 = PromptStyle(
    name="mplug_owl2",
    system="",
    first_user="{system} USER: {text} ",
    user="USER: {text} ",
    assistant="ASSISTANT: {text}</s>",
    generation="ASSISTANT:",
    image="{image}",
)
MOONDREAM2 = PromptStyle(
    name="moondream2",
    system="",
    system_format="{system}",
    user="{text}\n\n",
    question="Question: ",
    assistant="Answer: {text}\n\n",
    generation="Answer:",
    image="{image}\n\n",
)
# Answers end at any token of "<END>".
MOONDREAM1 = replace(
    MOONDREAM2,
    name="moondream1",
    generation="Answer: ",
    image="<image>{image}</image>\n\n",
    stops=("<", "END", ">"),
)
MOONDREAM2_MARCH = replace(MOONDREAM2, name="moondream2_march", stops=MOONDREAM1.stops)

# Every style by its name, for users who choose one.
STYLES = {style.name: style for style in list(globals().values()) if isinstance(style, PromptStyle)}
