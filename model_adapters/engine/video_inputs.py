"""A request's videos: loaded by the family's sampling rule, as pictures, and spoken of in time.

The sentence of times is LLaVA-Video's: LLaVA-VL/LLaVA-NeXT, playground/demo/video_demo.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from vllm.multimodal.parse import MultiModalDataItems
from vllm.multimodal.video import VIDEO_LOADER_REGISTRY, VideoBackend

from sensorium.model_adapters.prompt_style import USER_MARK
from sensorium.model_adapters.videos import SAMPLERS

__all__ = ["LOADER", "SampledVideo", "frames_of", "spoken_times"]

# The name of our loader in vLLM's registry of video loaders.
LOADER = "sensorium"


@VIDEO_LOADER_REGISTRY.register(LOADER)
class SampledVideo(VideoBackend):
    """Decodes the frames that a family's rule chooses, some of them more than once."""

    @classmethod
    def compute_frames_index_to_sample(cls, source: Any, target: Any, **kwargs: Any) -> list[int]:
        """Indices of the frames, in order; `sampling` names the rule, see `videos.SAMPLERS`."""
        rule = SAMPLERS[kwargs.get("sampling", "uniform")]
        total = max(1, source.total_frames_num)
        frames = target.num_frames if target.num_frames > 0 else total
        return rule(total, frames, source.original_fps or 1.0)

    @classmethod
    def load_bytes(
        cls, data: bytes, num_frames: int = -1, **kwargs: Any
    ) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        """Frames `[frames, height, width, 3]` of a file, and where in the video they are."""
        decoded, metadata = super().load_bytes(data, num_frames=num_frames, **kwargs)
        found = metadata["frames_indices"]
        if not len(found):
            raise ValueError("the video has no frame that can be decoded")
        source = _Source(metadata["total_num_frames"], metadata["fps"])
        wanted = cls.compute_frames_index_to_sample(source, _Target(num_frames), **kwargs)
        # A frame that cannot be decoded is stood in for by the one before it.
        at = np.maximum(np.searchsorted(found, wanted, side="right") - 1, 0)
        metadata["frames_indices"] = [found[index] for index in at]
        return np.asarray(decoded)[at], metadata


class _Source:
    def __init__(self, total: int, fps: float) -> None:
        self.total_frames_num, self.original_fps = total, fps


class _Target:
    def __init__(self, frames: int) -> None:
        self.num_frames = frames


def frames_of(video: Any) -> list[Image.Image]:
    """A video's frames as pictures; `video` is an array, pictures, or either with metadata."""
    if isinstance(video, tuple):
        video = video[0]
    frames = getattr(video, "media", video)
    if not (isinstance(frames, list) and isinstance(frames[0], Image.Image)):
        frames = [Image.fromarray(frame) for frame in np.asarray(frames)]
    return [frame.convert("RGB") for frame in frames]


def spoken_times(prompt: list[int], items: MultiModalDataItems, tokenizer: Any) -> list[int]:
    """The prompt with a sentence after each video's mark that says when its frames are.

    What follows a mark is tokenised anew together with the sentence, as one piece of text.
    """
    hard = set(tokenizer.get_added_vocab().values())
    told: list[int] = []
    videos = iter(items["video"].metadata)
    at = 0
    while at < len(prompt):
        told.append(prompt[at])
        at += 1
        if told[-1] != tokenizer.video_id:
            continue
        metadata = next(videos, None)
        end = at
        while end < len(prompt) and prompt[end] not in hard:
            end += 1
        piece = prompt[at:end]
        if metadata is not None:
            text = tokenizer.decode(piece)
            # Marked, so that special tokens that a user typed stay text.
            marked = f"{USER_MARK}\n{_times(metadata)}{text}{USER_MARK}"
            told += tokenizer.encode(marked, add_special_tokens=False)
        else:
            told += piece
        at = end
    return told


def _times(metadata: dict[str, Any]) -> str:
    fps = metadata["fps"] or 1.0
    total, indices = metadata["total_num_frames"], metadata["frames_indices"]
    step = max(1, round(fps))
    # The authors count whole frames a second where they take one each second.
    scale = step if indices == list(range(0, total, step)) else fps
    times = ",".join(f"{index / scale:.2f}s" for index in indices)
    return (
        f"The video lasts for {total / fps:.2f} seconds, and {len(indices)} frames are uniformly "
        f"sampled from it. These frames are located at {times}."
        "Please answer the following questions related to this video."
    )
