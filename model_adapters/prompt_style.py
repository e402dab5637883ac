"""How a conversation is written as one text: the form of a conversation style.

A style is data: it renders conversations itself (`PromptStyle.render`), and writes itself down as
the Jinja template that vLLM's chat route wants (`PromptStyle.jinja`). Neither writes the text of
the begin-of-sequence token: whether there is one is the tokenizer's business.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

__all__ = [
    "ANSWER_MARK",
    "IMAGE_MARK",
    "MARK_START",
    "PIECE_MARK",
    "USER_MARK",
    "VIDEO_MARK",
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
# Stands before the first USER_MARK of an answer; another one inside such a text means nothing.
ANSWER_MARK = "\ufdd2"
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
    at once. With `in_place` images stand where the request has them among its texts. `video` is
    what is written for a video before the text (with `videos_last`, after it). With `in_a_line`
    images and videos that follow one another stand in one line instead. `question` stands between a
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
    in_place: bool = False
    next_image: str | None = None
    video: str = _PLAIN_VIDEO
    videos_last: bool = False
    in_a_line: bool = False
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
            told = text.strip() if self.strip else text
            if self.in_a_line:
                written.append((role, _joined(told)))
                continue
            if self.videos_last:
                told = told.replace(f"{_VIDEO}\n", "") + video * told.count(f"{_VIDEO}\n")
            else:
                told = told.replace(f"{_VIDEO}\n", video)
            before = "\n?" if self.in_place else ""
            parts = re.split(f"{before}{_IMAGE}\n?", told)
            if role == "user":
                parts[-1] = self.question + parts[-1]
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
        `USER_MARK` on either side, answers by an `ANSWER_MARK` before.
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
        question = _quoted(self.question)
        user = _expression(self.user, question)
        if self.first_user is None:
            lines.append(f"{{{{- {_expression(self.system_format)} -}}}}")
        else:
            first = _expression(self.first_user, question)
            user = f"({first} if ns.pending and ns.system else {user})"
        lines += [
            "{%- for m in messages -%}",
            "{%- if m['role'] == 'user' -%}",
            f"{{{{- {user} -}}}}",
            "{%- set ns.pending = false -%}",
            "{%- elif m['role'] == 'assistant' -%}",
            f"{{{{- {_expression(self.assistant, before=ANSWER_MARK)} -}}}}",
            "{%- endif -%}",
            "{%- endfor -%}",
            "{%- if add_generation_prompt -%}",
            f"{{{{- {_quoted(self.generation)} -}}}}",
            "{%- endif -%}",
        ]
        return "".join(lines)

    def _content_macro(self) -> str:
        """A Jinja macro that writes a message's content with its images, `lead` before its text."""
        if self.in_a_line:
            return self._line_macro()
        image = self._image_expression(self.image)
        if self.next_image is not None:
            following = self._image_expression(self.next_image)
            image = f"({following} if piece == '\\n' and not loop.last else {image})"
        text = "text | trim" if self.strip else "text"
        piece = "(piece[1:] if not loop.first and piece[:1] == '\\n' else piece)"
        if self.in_place:
            piece = f"{piece}[:-1 if not loop.last and {piece}[-1:] == '\\n' else none]"
        image = f"{{%- set ns.images = ns.images + 1 -%}}{{{{- {image} -}}}}"
        before, after = ("", image) if self.images_last else (image, "")
        loop = f"{{%- for piece in ({text}).split({_quoted(IMAGE_MARK)}) -%}}"
        last = f"{loop}{{%- if not loop.first -%}}{after}{{%- endif -%}}{{%- endfor -%}}"
        videos = (
            f"{{%- for part in text.split({_quoted(VIDEO_MARK)}) -%}}"
            f"{{%- if not loop.first -%}}{{{{- {self._video()} -}}}}{{%- endif -%}}{{%- endfor -%}}"
        )
        return (
            "{%- macro content(text, lead) -%}"
            f"{loop}{{%- if not loop.first -%}}{before}{{%- endif -%}}"
            "{%- if loop.last -%}{{- lead -}}{%- endif -%}"
            f"{self._videos(piece)}{{%- endfor -%}}"
            f"{last if self.images_last else ''}{videos if self.videos_last else ''}"
            "{%- endmacro -%}"
        )

    def _line_macro(self) -> str:
        """The same where images and videos stand in one line; nothing else is written."""
        text = "text | trim" if self.strip else "text"
        media = f"[{_quoted(IMAGE_MARK)}, {_quoted(VIDEO_MARK)}]"
        return (
            "{%- macro content(text, lead) -%}{%- set ns.medium = false -%}"
            f"{{%- for line in ({text}).split('\\n') -%}}"
            f"{{%- set medium = line in {media} -%}}"
            "{%- if not loop.first and not (medium and ns.medium) -%}{{- '\\n' -}}{%- endif -%}"
            f"{{{{- {_marked('line')} -}}}}{{%- set ns.medium = medium -%}}"
            "{%- endfor -%}{%- endmacro -%}"
        )

    def _videos(self, piece: str) -> str:
        """Jinja that writes a piece of a conversation's text with its videos."""
        if self.video == _PLAIN_VIDEO:
            return f"{{{{- {_marked(piece)} -}}}}"
        part = _marked("(part[1:] if not loop.first and part[:1] == '\\n' else part)")
        video = "''" if self.videos_last else self._video()
        return (
            f"{{%- for part in {piece}.split({_quoted(VIDEO_MARK)}) -%}}"
            f"{{%- if not loop.first -%}}{{{{- {video} -}}}}{{%- endif -%}}"
            f"{{{{- {part} -}}}}{{%- endfor -%}}"
        )

    def _video(self) -> str:
        """A Jinja expression for a video and what is written around it."""
        return _quoted(self.video.replace("{video}", VIDEO_MARK))

    def _image_expression(self, form: str) -> str:
        """A Jinja expression that fills `{image}` and `{number}` in."""
        image = _quoted(form)
        for name, value in (("{image}", _quoted(IMAGE_MARK)), ("{number}", "ns.images")):
            image = image.replace(name, f"' ~ {value} ~ '")
        return image


def _joined(text: str) -> str:
    """The text without the newline between an image or a video and the next."""
    lines = text.split("\n")
    written = lines[0]
    for before, line in itertools.pairwise(lines):
        together = {before, line} <= {_IMAGE, _VIDEO}
        written += line if together else f"\n{line}"
    return written


def _marked(expression: str) -> str:
    """A Jinja expression for a text of the conversation, with its marks."""
    mark = _quoted(USER_MARK)
    return f"{mark} ~ {expression} | replace({mark}, '') ~ {mark}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def _expression(form: str, lead: str = "''", before: str = "") -> str:
    """A Jinja expression that fills `{system}` and `{text}` in; `lead` is one itself.

    `before` is written before the text.
    """
    pieces: list[str] = []
    for index, around in enumerate(form.split(_SYSTEM_MARK)):
        if index:
            pieces.append("ns.system")
        for inner, text in enumerate(around.split(_TEXT_MARK)):
            if inner:
                pieces += [_quoted(before)] if before else []
                pieces.append(f"content(m['content'], {lead})")
            if text:
                pieces.append(_quoted(text))
    return " ~ ".join(pieces) or "''"
