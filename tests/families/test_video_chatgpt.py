"""Video-ChatGPT equals its authors' code; conversation: `video-chatgpt_v1`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from tests.families.clips import frames_of, make_clip
from tests.families.parity import CASES, Case
from tests.families.proof import LightProof, family_marks
from tests.families.reference import Reference, State
from tests.families.slow_tokenizer import SlowTokenizer

pytestmark = family_marks
SYSTEM = (
    "You are Video-ChatGPT, a large vision-language assistant. You are able to understand the "
    "video content that the user provides, and assist the user with a variety of tasks using "
    "natural language.Follow the instructions carefully and explain your answers in detail based "
    "on the provided video."
)
SHORT, LONG = make_clip(7, 5.0), make_clip(130, 10.0, width=130, height=72, seed=1)
TALL = make_clip(40, 5.0, width=56, height=170, seed=2)
_FRAMES = 100


class VideoChatGptReference(Reference):
    """`initialize_model` and `video_chatgpt_infer`; the fast tokenizer of transformers 4.28."""

    def __init__(self, whole: Path, tower: Path) -> None:
        super().__init__(whole, tower, inside=False)
        self.fast = SlowTokenizer(whole, strips=False)

    def language_model(self, state: State) -> Any:
        """The vocabulary with the video's tokens."""
        self.raw["vocab_size"] = len(state["model.embed_tokens.weight"])
        model = super().language_model(state)
        model.resize_token_embeddings = lambda rows: None
        return model

    def pieces(self, prompt: str) -> list[list[int]]:
        """Ids of the text around each video."""
        return self.fast.pieces(prompt)

    def all_features(self, images: Sequence[bytes]) -> list[torch.Tensor]:
        """Each video's tokens, `[356, hidden]` at the real size."""
        return [self._of_video(video) for video in images]

    def _of_video(self, clip: bytes) -> torch.Tensor:
        frames, _ = frames_of(clip)
        chosen = frames[_seq_frames(len(frames), min(len(frames), _FRAMES))]
        edge = self.processor.crop_size["height"]
        squares = torch.from_numpy(chosen).permute(0, 3, 1, 2).float()
        squares = functional.interpolate(squares, size=(edge, edge)).permute(0, 2, 3, 1)
        pictures = [Image.fromarray(square) for square in squares.to(torch.uint8).numpy()]
        pixels = self.processor(pictures, return_tensors="pt")["pixel_values"]
        hidden = self.tower(pixels, output_hidden_states=True).hidden_states[-2][:, 1:]
        temporal = hidden.mean(dim=1)
        blank = torch.zeros(_FRAMES - len(temporal), temporal.shape[1])
        features = torch.cat([temporal, blank, hidden.mean(dim=0)])
        return functional.linear(features, self.projector["weight"], self.projector["bias"])


def _seq_frames(total: int, wanted: int) -> list[int]:
    """`get_seq_frames`."""
    part = float(total - 1) / wanted
    starts = [int(np.round(part * index)) for index in range(wanted + 1)]
    return [(starts[i] + starts[i + 1]) // 2 for i in range(wanted)]


def _whole(overlay: Path, base: Path) -> Path:
    """LLaVA resized to the new tokens, then `load_state_dict(..., strict=False)`."""
    state: State = {}
    for file in sorted(base.glob("pytorch_model*.bin")):
        state.update(torch.load(file, weights_only=True))
    state["lm_head.weight"] = functional.pad(state["lm_head.weight"], (0, 0, 0, 3))
    state.update(torch.load(overlay / "video_chatgpt-7B.bin", weights_only=True))
    folder = overlay.with_name("video-chatgpt-whole")
    shutil.copytree(base, folder, dirs_exist_ok=True)
    for file in folder.glob("pytorch_model*"):
        file.unlink()
    torch.save(state, folder / "pytorch_model.bin")
    added = json.loads((base / "added_tokens.json").read_text())
    added |= {"<vid_patch>": 643, "<vid_start>": 644, "<vid_end>": 645}
    (folder / "added_tokens.json").write_text(json.dumps(added))
    return folder


class TestVideoChatGpt(LightProof):
    """Fewer frames than are taken, more, and a tall video, over a LLaVA that lacks three rows."""

    checkpoint = "video-chatgpt"
    prompt = f"{SYSTEM} USER: {{}} ASSISTANT:"
    options = {"hf_overrides": {"sensorium_family": "video-chatgpt"}}  # noqa: RUF012
    cases = (
        CASES[0],
        Case("a short video", videos=(SHORT,), text="What happens?"),
        Case("a long video", videos=(LONG,), text="Who?"),
        Case("a tall video", videos=(TALL,), text="And then?"),
    )
    spoilt = cases[1]
    lacks = dict.fromkeys((case.name for case in CASES[1:]), "takes videos alone")

    @staticmethod
    def write(text: str, images: int) -> str:
        """The video after the question, each placeholder one token."""
        return text + "\n<vid_start><image><vid_end>" * images

    @classmethod
    def read(cls, checkpoint: Path) -> Reference:
        """The published file over LLaVA."""
        whole = _whole(checkpoint, checkpoint.with_name("LLaVA-tiny-Lightening-v1-1"))
        return VideoChatGptReference(whole, checkpoint.with_name("clip-tiny-vcgpt"))
