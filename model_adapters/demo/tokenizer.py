"""The byte-level BPE tokenizer of about 900 tokens and the chat template.

The template puts media before the text whatever order the client sent them in, because that is how
the model was trained.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = [
    "AUDIO",
    "AUDIO_END",
    "AUDIO_START",
    "CHAT_TEMPLATE",
    "IMAGE",
    "PAD",
    "SPECIAL",
    "TURN_END",
    "TURN_START",
    "VIDEO",
    "VISION_END",
    "VISION_START",
    "load_tokenizer",
    "train_tokenizer",
]

SPECIAL: Final = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<|audio_start|>",
    "<|audio_end|>",
    "<|audio_pad|>",
)
PAD, TURN_START, TURN_END, VISION_START, VISION_END = range(5)
IMAGE, VIDEO, AUDIO_START, AUDIO_END, AUDIO = range(5, 10)

CHAT_TEMPLATE: Final = """\
{%- for m in messages %}<|im_start|>{{ m['role'] }}
{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}\
{% if c['type'] == 'image' or 'image' in c or 'image_url' in c %}\
<|vision_start|><|image_pad|><|vision_end|>\
{% elif c['type'] == 'video' or 'video' in c or 'video_url' in c %}\
<|vision_start|><|video_pad|><|vision_end|>\
{% elif c['type'] == 'audio' or 'audio' in c or 'audio_url' in c or 'input_audio' in c %}\
<|audio_start|><|audio_pad|><|audio_end|>{% endif %}{% endfor %}\
{% for c in m['content'] %}{% if 'text' in c %}{{ c['text'] }}{% endif %}{% endfor %}\
{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def train_tokenizer(corpus: Iterable[str], vocabulary: int = 900) -> Tokenizer:
    """A tokenizer learnt from `corpus`; the ten special tokens come first, then the bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer


def load_tokenizer(checkpoint: Path) -> Tokenizer:
    """The tokenizer of a checkpoint folder, without transformers."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
