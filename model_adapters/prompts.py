"""How conversations are written as one text, the way each family was trained.

A style is data: it renders conversations itself (`PromptStyle.render`), and writes itself down as
the Jinja template that vLLM's chat route wants (`PromptStyle.jinja`). Neither writes the text of
the begin-of-sequence token: whether there is one is the tokenizer's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

__all__ = [
    "BUNNY",
    "BUNNY_LLAMA",
    "CHATML_DIRECT",
    "CHINESE_BAICHUAN",
    "CHINESE_LLAMA_2",
    "DEEPSEEK_VL",
    "GLAMM",
    "IMAGE_MARK",
    "LLAMA_2",
    "LLAMA_3",
    "LLAVA_V0",
    "LLAVA_V1",
    "MANTIS",
    "MARK_START",
    "MISTRAL_INSTRUCT",
    "MOONDREAM1",
    "MOONDREAM2",
    "MPLUG_OWL2",
    "PIECE_MARK",
    "QWEN_1_5",
    "STYLES",
    "TINYLLAVA",
    "TINYLLAVA_GEMMA",
    "USER_MARK",
    "VICUNA_V1",
    "VIDEO_MARK",
    "VILA_LLAMA_3",
    "VILA_LLAMA_3_MAY",
    "YI_VL",
    "PromptStyle",
    "Turn",
]

# (role, text); role is "system", "user" or "assistant".
Turn = tuple[str, str]
_SYSTEM_MARK = "{system}"
_TEXT_MARK = "{text}"
# Stands for an image in a prompt. No family was trained on it, so nothing that a user is likely to
# type is taken for an image; "<image>" in a question is plain text.
MARK_START = "<|sensorium:"
IMAGE_MARK = f"{MARK_START}image|>"
# The same for a video.
VIDEO_MARK = f"{MARK_START}video|>"
# Stands where what follows is tokenised as a text of its own.
PIECE_MARK = f"{MARK_START}piece|>"
# Stands before and after every text that comes from a conversation. A noncharacter, which no text
# for exchange holds.
USER_MARK = "\ufdd0"
# Stand for an image and a video in texts for people.
_IMAGE = "<image>"
_VIDEO = "<video>"
# vLLM hands a template each image's mark and a newline, before the text.
_PLAIN_IMAGE = "{image}\n"
_PLAIN_VIDEO = "{video}\n"


@dataclass(frozen=True)
class PromptStyle:
    """One conversation format.

    `system_format` holds `{system}`, the turn formats hold `{text}`. `first_user`, where a format
    puts the system text inside the first question, holds both and replaces the system's own turn;
    without system text the first question is then an ordinary one. `image` is what is written for
    an image before the text (with `images_last`, after it), `{number}` in it counting the images of
    the conversation from 1; `next_image`, where set, is written instead when another image follows
    at once. `video` is what is written for a video before the text. `question` stands between a
    question's images and its text. `strip` takes the whitespace around each text away. `stops` are
    the texts that end an answer beside the tokenizer's end-of-sequence token.
    """

    name: str
    system: str
    user: str
    assistant: str
    generation: str
    system_format: str = "{system}"
    first_user: str | None = None
    image: str = _PLAIN_IMAGE
    images_last: bool = False
    next_image: str | None = None
    video: str = _PLAIN_VIDEO
    question: str = ""
    strip: bool = False
    stops: tuple[str, ...] = ()

    def around_images(self, start: str, end: str) -> PromptStyle:
        """The style with a text before and one after each image."""
        return replace(self, image=self.image.replace("{image}", f"{start}{{image}}{end}"))

    def render(self, turns: Sequence[Turn], *, generate: bool = True) -> str:
        """The text of a conversation, in which `<image>` and a newline stand for each image.

        `<video>` and a newline stand for a video. A system turn replaces the default system text.
        """
        turns = self._written(turns)
        system = self.system
        for role, text in turns:
            if role == "system":
                system = text
        inside = self.first_user is not None
        parts = [] if inside else [self.system_format.replace(_SYSTEM_MARK, system)]
        pending = inside and bool(system)
        for role, text in turns:
            if role == "user":
                form = self.user
                if pending and self.first_user is not None:
                    form, pending = self.first_user.replace(_SYSTEM_MARK, system), False
                parts.append(form.replace(_TEXT_MARK, text))
            elif role == "assistant":
                parts.append(self.assistant.replace(_TEXT_MARK, text))
        if generate:
            parts.append(self.generation)
        return "".join(parts).replace(PIECE_MARK, "")

    def _written(self, turns: Sequence[Turn]) -> list[Turn]:
        """The turns with each image written as `image` says."""
        number, written = 0, []
        video = self.video.replace("{video}", _VIDEO)
        for role, text in turns:
            told = (text.strip() if self.strip else text).replace(f"{_VIDEO}\n", video)
            parts = told.split(f"{_IMAGE}\n")
            parts[-1] = (self.question if role == "user" else "") + parts[-1]
            first, *others = parts
            images = []
            for index, piece in enumerate(others, 1):
                number += 1
                followed = self.next_image is not None and not piece and index < len(others)
                image = self.next_image if self.next_image and followed else self.image
                image = image.replace("{image}", _IMAGE).replace("{number}", str(number))
                images.append(image)
            if self.images_last:
                written.append((role, "".join([first, *others, *images])))
            else:
                pairs = zip(images, others, strict=True)
                written.append((role, first + "".join(image + piece for image, piece in pairs)))
        return written

    def jinja(self, *, bos: bool) -> str:
        """The same as a Jinja chat template, starting with the BOS token when `bos` is set.

        Images are marked by `IMAGE_MARK`, videos by `VIDEO_MARK`, texts of the conversation by
        `USER_MARK` on either side.
        """
        system = _marked("(m['content'] | trim)" if self.strip else "m['content']")
        lines = [
            f"{{%- set ns = namespace(system={_quoted(self.system)}, pending=true, images=0) -%}}",
            self._content_macro(),
            "{%- for m in messages if m['role'] == 'system' -%}",
            f"{{%- set ns.system = {system} if m['content'] else '' -%}}",
            "{%- endfor -%}",
            "{{- bos_token -}}" if bos else "",
        ]
        user = _expression(self.user, self.question)
        if self.first_user is None:
            lines.append(f"{{{{- {_expression(self.system_format)} -}}}}")
        else:
            first = _expression(self.first_user, self.question)
            user = f"({first} if ns.pending and ns.system else {user})"
        lines += [
            "{%- for m in messages -%}",
            "{%- if m['role'] == 'user' -%}",
            f"{{{{- {user} -}}}}",
            "{%- set ns.pending = false -%}",
            "{%- elif m['role'] == 'assistant' -%}",
            f"{{{{- {_expression(self.assistant)} -}}}}",
            "{%- endif -%}",
            "{%- endfor -%}",
            "{%- if add_generation_prompt -%}",
            f"{{{{- {_quoted(self.generation)} -}}}}",
            "{%- endif -%}",
        ]
        return "".join(lines)

    def _content_macro(self) -> str:
        """A Jinja macro that writes a message's content with its images; `lead` is `question`."""
        image = self._image_expression(self.image)
        if self.next_image is not None:
            following = self._image_expression(self.next_image)
            image = f"({following} if piece == '\\n' and not loop.last else {image})"
        text = "text | trim" if self.strip else "text"
        piece = "(piece[1:] if not loop.first and piece[:1] == '\\n' else piece)"
        image = f"{{%- set ns.images = ns.images + 1 -%}}{{{{- {image} -}}}}"
        before, after = ("", image) if self.images_last else (image, "")
        loop = f"{{%- for piece in ({text}).split({_quoted(IMAGE_MARK)}) -%}}"
        last = f"{loop}{{%- if not loop.first -%}}{after}{{%- endif -%}}{{%- endfor -%}}"
        return (
            "{%- macro content(text, lead) -%}"
            f"{loop}{{%- if not loop.first -%}}{before}{{%- endif -%}}"
            "{%- if loop.last -%}{{- lead -}}{%- endif -%}"
            f"{self._videos(piece)}{{%- endfor -%}}"
            f"{last if self.images_last else ''}"
            "{%- endmacro -%}"
        )

    def _videos(self, piece: str) -> str:
        """Jinja that writes a piece of a conversation's text with its videos."""
        if self.video == _PLAIN_VIDEO:
            return f"{{{{- {_marked(piece)} -}}}}"
        part = _marked("(part[1:] if not loop.first and part[:1] == '\\n' else part)")
        video = _quoted(self.video.replace("{video}", VIDEO_MARK))
        return (
            f"{{%- for part in {piece}.split({_quoted(VIDEO_MARK)}) -%}}"
            f"{{%- if not loop.first -%}}{{{{- {video} -}}}}{{%- endif -%}}"
            f"{{{{- {part} -}}}}{{%- endfor -%}}"
        )

    def _image_expression(self, form: str) -> str:
        """A Jinja expression that fills `{image}` and `{number}` in."""
        image = _quoted(form)
        for name, value in (("{image}", _quoted(IMAGE_MARK)), ("{number}", "ns.images")):
            image = image.replace(name, f"' ~ {value} ~ '")
        return image


def _marked(expression: str) -> str:
    """A Jinja expression for a text of the conversation, with its marks."""
    mark = _quoted(USER_MARK)
    return f"{mark} ~ {expression} | replace({mark}, '') ~ {mark}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def _expression(form: str, question: str = "") -> str:
    """A Jinja expression that fills `{system}` and `{text}` in."""
    pieces: list[str] = []
    for index, around in enumerate(form.split(_SYSTEM_MARK)):
        if index:
            pieces.append("ns.system")
        for inner, text in enumerate(around.split(_TEXT_MARK)):
            if inner:
                pieces.append(f"content(m['content'], {_quoted(question)})")
            if text:
                pieces.append(_quoted(text))
    return " ~ ".join(pieces) or "''"


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
MISTRAL_INSTRUCT = PromptStyle(
    name="mistral_instruct",
    system="",
    first_user="[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{text} [/INST]",
    user="[INST] {text} [/INST]",
    assistant=" {text} </s>",
    generation="",
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
    stops=("<|eot_id|>",),
)
GLAMM = replace(LLAVA_V1, name="glamm", image="The{image}provides an overview of the picture.\n")
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

# Every style by its name, for users who choose one.
STYLES = {style.name: style for style in list(globals().values()) if isinstance(style, PromptStyle)}
