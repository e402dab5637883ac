"""What is known of a model that hears and that vLLM serves by a class of its own, as data.

Imports neither torch nor vllm nor transformers: the command line reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["AudioModel"]


@dataclass(frozen=True)
class AudioModel:
    """A family of audio models; `architectures` are the names in its configs.

    `rate` is the sampling rate it hears at, in Hz, mono. `seconds` is the longest sound it takes as
    one, None where only the context sets an end; `beyond` says what becomes of a longer one.
    `window` are the seconds that the encoder sees at once, where it cuts a long sound into windows
    and joins what it makes of them. `sounds` is the most in a prompt, None for no limit of the
    model's; `tokens_per_second` what a second of sound takes of the context.

    `placeholder` is what the prompt holds for a sound before it is expanded, `generation` the
    authors' sampling for checkpoints whose `generation_config.json` does not say, `needs` what it
    lacks on some installations, `proof` the test that compares it with its reference ("" where none
    runs) and `sources` where the facts are from.
    """

    name: str
    title: str
    checkpoints: tuple[str, ...]
    architectures: tuple[str, ...]
    placeholder: str
    tokens_per_second: float
    sources: tuple[str, ...]
    modalities: tuple[str, ...] = ("text", "audio")
    rate: int = 16_000
    seconds: float | None = None
    window: float | None = None
    sounds: int | None = None
    generation: Mapping[str, float] = field(default_factory=dict)
    limits: str = ""
    needs: str = ""
    proof: str = ""

    @property
    def beyond(self) -> str:
        """What becomes of a sound that is longer than the encoder's reach."""
        if self.seconds is not None:
            return f"a sound over {self.seconds:g} s is refused, never cut"
        if self.window is not None:
            return f"a long sound is heard in windows of {self.window:g} s that are joined"
        return "a long sound takes more of the context"

    def too_long(self, seconds: float) -> str | None:
        """What to tell the sender of so long a sound; None where the model hears it whole."""
        if self.seconds is None or seconds <= self.seconds:
            return None
        return (
            f"it holds {seconds:.2f} s of sound; {self.title} hears at most {self.seconds:g} s of "
            "one: cut it into parts, which may be sent as several sounds of one message"
        )
