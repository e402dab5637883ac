"""How a video is sampled into frames, and which features of the frames become its tokens.

Light: numpy only where indices are asked for. Facts: LLaVA-VL/LLaVA-NeXT, playground/demo/
video_demo.py (`load_video`), llava/model/llava_arch.py (`get_2dPool`, `add_token_per_grid`,
`add_token_per_frame`); apple/ml-slowfast-llava, dataset.py (`get_seq_frames`),
slowfast_llava/llava/model/llava_arch.py (`prepare_slowfast`); ShareGPT4Omni/ShareGPT4Video, run.py;
RupertLuo/Valley, valley/model/valley_model.py; mbzuai-oryx/Video-ChatGPT,
video_chatgpt/inference.py (`get_spatio_temporal_features_torch`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sensorium.model_adapters.layouts import NEWLINE, Arrangement, Pool, PoolMode

if TYPE_CHECKING:
    from sensorium.model_adapters.layouts import Rows

__all__ = ["SAMPLERS", "FrameLayout", "FrameSize", "Newline", "Reducer", "Sampling", "Video"]

Sampling = Literal["uniform", "per_second", "middles", "rounded_middles", "strides"]
Reducer = Literal["frames", "slow_fast", "collage", "mean_and_class", "means", "together"]
# How a frame becomes the tower's square: `tower` as the tower's own processor does it, `squash` the
# whole frame bicubically, `nearest` the whole frame by taking pixels, `bilinear_crop` its shorter
# edge to 8/7 of the square, then the middle.
FrameSize = Literal["tower", "squash", "nearest", "bilinear_crop"]
# Where the checkpoint's newline vector stands: nowhere, at the very end, after each frame, after
# each row of a frame. The names are those of the config key `mm_newline_position`.
Newline = Literal["no_token", "one_token", "frame", "grid"]


@dataclass(frozen=True)
class Video:
    """What a family makes of a video.

    At most `frames` of it are taken, chosen as `sampling` says and resized as `size` says.
    `reducer` is "frames" (each frame's features one after the other, made smaller 2 to 1 along each
    edge by `pool`), "slow_fast" (few frames in full width, all frames small), "collage" (the frames
    pasted into one picture), "mean_and_class" (the mean of each patch over all frames, then each
    frame's class token, also for an image alone; `between` are trained tokens that stand between
    the two), "means" (the mean of each frame, with blank ones up to `frames`, then that of each
    patch over all frames) or "together" (the tower sees so many frames as one, no more and no
    fewer, and all that it makes of them is kept, each frame's class token first). `times` puts a
    sentence before the question that says how long the video is and when its frames are.
    """

    frames: int
    sampling: Sampling = "uniform"
    size: FrameSize = "tower"
    reducer: Reducer = "frames"
    pool: PoolMode | None = None
    newline: Newline = "no_token"
    times: bool = False
    between: str = ""


@dataclass(frozen=True)
class FrameLayout:
    """Which features of `frames` pictures, each a grid of `grid` x `grid`, become tokens."""

    grid: int
    video: Video

    @property
    def has_newline(self) -> bool:
        """Whether rows can be `NEWLINE`."""
        return self.video.newline != "no_token"

    @property
    def has_blanks(self) -> bool:
        """Whether `NEWLINE` stands for a frame that is not there, whose features are zeros."""
        return self.video.reducer == "means"

    def pictures(self, frames: int) -> int:
        """How many pictures the tower sees of so many frames."""
        if self.video.reducer == "together":
            return self.video.frames
        return 1 if self.video.reducer == "collage" else frames

    def tokens(self, frames: int) -> int:
        """How many tokens so many frames become."""
        return len(self.arrange(frames).rows)

    def parts(self, frames: int) -> tuple[int, ...]:
        """The same as the runs of tokens that `between` stands between."""
        if self.video.reducer == "mean_and_class":
            return self.grid**2, frames
        return (self.tokens(frames),)

    def arrange(self, frames: int) -> Arrangement:
        """The tokens of so many frames."""
        if self.video.reducer == "slow_fast":
            return self._slow_fast(frames)
        if self.video.reducer == "mean_and_class":
            return self._mean_and_class(frames)
        if self.video.reducer == "means":
            return self._means(frames)
        if self.video.reducer == "together":
            return self._together()
        return self._in_turn(self.pictures(frames))

    def _features(self, frames: int) -> Rows:
        """The features of all frames, `[frames, grid, grid]`."""
        import numpy as np

        return np.arange(frames * self.grid**2).reshape(frames, self.grid, self.grid)

    def _in_turn(self, frames: int) -> Arrangement:
        """Each frame's features, one frame after the other."""
        import numpy as np

        rows = self._features(frames)
        pools: tuple[Pool, ...] = ()
        if self.video.pool is not None:
            smaller = bool(self.video.pool in ("bilinear", "adaptive"))
            edge = math.ceil(self.grid / 2) if smaller else self.grid // 2
            shape = (edge, edge) if smaller else (2, 2)
            pools = (Pool(rows, self.video.pool, shape),)
            rows = rows.size + np.arange(frames * edge**2).reshape(frames, edge, edge)
        return Arrangement(frames, self._ended(rows), pools)

    def _ended(self, rows: Rows) -> Rows:
        """`[frames, rows, columns]` as one row of tokens, with newlines where they belong."""
        import numpy as np

        if self.video.newline == "grid":
            rows = np.pad(rows, ((0, 0), (0, 0), (0, 1)), constant_values=NEWLINE)
        elif self.video.newline == "frame":
            rows = np.pad(rows.reshape(len(rows), -1), ((0, 0), (0, 1)), constant_values=NEWLINE)
        end = [NEWLINE] if self.video.newline == "one_token" else []
        return np.append(rows.reshape(-1), end).astype(np.int64)

    def _slow_fast(self, frames: int) -> Arrangement:
        """Ten frames with neighbours along a row merged, then all frames as grids of 4 x 4."""
        import numpy as np

        every = self._features(frames)
        slow = every[[frames * index // _SLOW for index in range(_SLOW)]]
        pools = (
            Pool(slow.reshape(_SLOW, 1, -1), "max", (1, 2)),
            Pool(every, "adaptive", (_FAST, _FAST)),
        )
        count = _SLOW * (self.grid**2 // 2) + frames * _FAST**2
        return Arrangement(frames, every.size + np.arange(count), pools)

    def _means(self, frames: int) -> Arrangement:
        """Each frame's mean, blanks for those that are not there, each patch's mean over frames."""
        import numpy as np

        patches = self.grid**2
        every = np.arange(frames * patches).reshape(frames, patches, 1)
        pools = (
            Pool(every, "adaptive", (1, 1)),
            Pool(every.transpose(1, 0, 2), "adaptive", (1, 1)),
        )
        blanks = np.full(max(0, self.video.frames - frames), NEWLINE)
        means = every.size + np.arange(frames + patches)
        return Arrangement(frames, np.concatenate([means[:frames], blanks, means[frames:]]), pools)

    def _mean_and_class(self, frames: int) -> Arrangement:
        """The mean of each patch over all frames, then the frames' class tokens."""
        import numpy as np

        patches = self.grid**2
        every = np.arange(frames * (1 + patches)).reshape(frames, 1 + patches)
        pool = Pool(every[:, 1:].T[:, :, None], "adaptive", (1, 1))
        rows = np.concatenate([every.size + np.arange(patches), every[:, 0]])
        return Arrangement(frames, rows, (pool,))

    def _together(self) -> Arrangement:
        """Class token and patches of each frame, in order."""
        import numpy as np

        frames = self.video.frames
        return Arrangement(frames, np.arange(frames * (1 + self.grid**2)))


_SLOW, _FAST = 10, 4


def _uniform(total: int, frames: int, fps: float) -> list[int]:
    """From the first frame to the last; some twice where there are fewer."""
    import numpy as np

    return [int(index) for index in np.linspace(0, total - 1, frames, dtype=int)]


def _per_second(total: int, frames: int, fps: float) -> list[int]:
    """A frame each second; uniform where those are too many."""
    chosen = list(range(0, total, max(1, round(fps))))
    return chosen if len(chosen) <= frames else _uniform(total, frames, fps)


def _middles(total: int, frames: int, fps: float) -> list[int]:
    """The middle of each of so many parts (`get_seq_frames`)."""
    import numpy as np

    frames = min(total, frames)
    part = float(total - 1) / frames
    edges = [int(np.round(part * index)) for index in range(frames + 1)]
    return [(start + end) // 2 for start, end in itertools.pairwise(edges)]


def _rounded_middles(total: int, frames: int, fps: float) -> list[int]:
    """The middle of the first part, and steps of a part from there (`get_index`)."""
    import numpy as np

    part = float(total - 1) / frames
    return [int(part / 2) + int(np.round(part * index)) for index in range(frames)]


def _strides(total: int, frames: int, fps: float) -> list[int]:
    """Every n-th frame from the first."""
    return list(range(0, total, max(1, total // frames)))[:frames]


# Each takes how many frames there are, how many are wanted, and frames a second; gives indices.
SAMPLERS: dict[str, Callable[[int, int, float], list[int]]] = {
    "uniform": _uniform,
    "per_second": _per_second,
    "middles": _middles,
    "rounded_middles": _rounded_middles,
    "strides": _strides,
}
