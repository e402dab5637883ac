"""Phi-4-multimodal as transformers has it, each sound heard by itself.

transformers adds the mask of padding as a number, which masks nothing; a sound alone needs none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn.functional import gelu

from tests.families.audio_checkpoints.phi4mm import SOUND, theirs
from tests.families.audio_reference import RATE, Sound, greedy

__all__ = ["Phi4MMReference"]


class Phi4MMReference:
    """A checkpoint, of which the builder has left the state of transformers' class."""

    def __init__(self, folder: Path) -> None:
        from transformers import Phi4MultimodalFeatureExtractor, PreTrainedTokenizerFast

        self.words = PreTrainedTokenizerFast.from_pretrained(folder)
        self.extract = Phi4MultimodalFeatureExtractor()
        self.model = theirs()
        state = torch.load(folder / "transformers.pt", weights_only=True)
        missing, unexpected = self.model.load_state_dict(state, strict=False)
        assert not unexpected
        assert all("image_embed" in name or name == "lm_head.weight" for name in missing)

    def _heard(self, sound: Sound) -> torch.Tensor:
        """`[tokens, hidden]`, a token for eight frames of 10 ms."""
        ears = self.model.model.embed_tokens_extend.audio_embed
        features = self.extract(sound, sampling_rate=RATE)["audio_input_features"]
        states = gelu(ears.up_proj_for_speech(ears.encoder(features, None)))
        heard: torch.Tensor = ears.down_proj_for_speech(states)[0]
        return heard

    @torch.inference_mode()
    def answer(
        self, text: str, sounds: Sequence[Sound], tokens: int = 16
    ) -> tuple[list[int], list[int], torch.Tensor]:
        """Ids of prompt and answer, and `[tokens, vocabulary]` log-probabilities."""
        marks = [f"<|audio_{number + 1}|>" for number in range(len(sounds))]
        turn = [{"role": "user", "content": "\n".join([*marks, text])}]
        rest = self.words.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        embed = self.model.get_input_embeddings()
        ids: list[int] = []
        rows = []
        for mark, sound in zip(marks, sounds, strict=True):
            before, _, rest = rest.partition(mark)
            piece, heard = self._ids(before), self._heard(sound)
            ids += [*piece, *[SOUND] * len(heard)]
            rows += [embed(torch.tensor(piece, dtype=torch.long)), heard]
        last = self._ids(rest)
        rows.append(embed(torch.tensor(last)))
        end = self.words.eos_token_id
        return [*ids, *last], *greedy(self.model, torch.cat(rows)[None], end, tokens)

    def _ids(self, text: str) -> list[int]:
        return list(self.words.encode(text, add_special_tokens=False))
