"""Exact-match accuracy per question type on scenes, fonts and voices that training never saw.

Answers are taken teacher-forced: the most likely token at every place of the true answer. All of
them right is the same as greedy decoding giving that answer.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sensorium.model_adapters.demo.examinations import Amounts, Examination, Paper
from sensorium.model_adapters.demo.fonts import evaluation_fonts
from sensorium.model_adapters.demo.tokenizer import load_tokenizer
from sensorium.model_adapters.demo.weights import WEIGHTS_FILE, file_sha256, read_weights

__all__ = ["SEED", "Score", "configure", "examine", "interval", "run"]

SEED: Final = 4242
METHOD: Final = (
    "Exact match of the whole answer, greedy, in float32, one question at a time about a freshly "
    "rendered scene. Words are printed in the fonts and spoken in the voices listed here, which "
    "training never used. flite's one voice kept from training (kal) is an 8 kHz recording of a "
    "speaker whose 16 kHz voice was used, so transcribe_flite is not a voice never heard."
)


@dataclass
class Score:
    """Right answers out of `n`."""

    right: int = 0
    n: int = 0

    def as_json(self) -> dict[str, Any]:
        """Counts, accuracy and its 95 % interval."""
        low, high = interval(self.right, self.n)
        return {
            "n": self.n,
            "right": self.right,
            "accuracy": round(self.right / self.n, 4),
            "interval": [round(low, 4), round(high, 4)],
        }


def interval(right: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval for a share of `right` out of `n` (95 % for z = 1.96)."""
    share = right / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    spread = math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) * z / (1 + z * z / n)
    return max(0.0, middle - spread), min(1.0, middle + spread)


def mark(model: Any, paper: Paper) -> list[tuple[str, bool, list[int]]]:
    """For every question of the paper: its type, whether it was answered right, and the answer."""
    import torch

    from sensorium.model_adapters.demo.losses import answer_logits

    batch = paper.batch
    with torch.no_grad():
        said = answer_logits(model, batch).argmax(-1)
    wanted = batch.targets[:, 1:]
    owners = batch.segments[:, 1:][wanted].tolist()
    rows = torch.nonzero(wanted)[:, 0].tolist()
    truth = batch.ids[:, 1:][wanted]
    answers: dict[tuple[int, int], list[int]] = defaultdict(list)
    right: dict[tuple[int, int], bool] = defaultdict(lambda: True)
    for place, (row, owner) in enumerate(zip(rows, owners, strict=True)):
        answers[row, owner].append(int(said[place]))
        right[row, owner] &= bool(said[place] == truth[place])
    marks = []
    for row, questions in enumerate(paper.questions):
        for index, question in enumerate(questions):
            key = (row, index + 1)
            marks.append((question.kind, right[key], answers[key]))
    return marks


def examine(model: Any, papers: Iterable[Paper]) -> dict[str, Score]:
    """The model's score for every question type that occurs in the papers."""
    scores: dict[str, Score] = defaultdict(Score)
    for paper in papers:
        for kind, right, _ in mark(model, paper):
            scores[kind].right += right
            scores[kind].n += 1
    return dict(sorted(scores.items()))


def _load(checkpoint: Path) -> Any:
    from sensorium.model_adapters.demo.model_config import build_model

    return build_model(read_weights(checkpoint)).eval()


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `evaluate`."""
    parser.add_argument("checkpoint", type=Path, help="checkpoint folder to measure")
    parser.add_argument("--earlier", type=Path, help="another one to measure on the same questions")
    parser.add_argument("--seed", type=int, default=SEED, help="training uses seeds under 1000")
    parser.add_argument("--share", type=float, default=1.0, help="length of the examination")
    parser.add_argument("--out", type=Path, help="where to write the report (eval.json)")


def report(checkpoint: Path, seed: int, share: float, earlier: Path | None) -> dict[str, Any]:
    """Measure a checkpoint, and an earlier one on the very same questions, as JSON-ready data."""
    tokenizer, faces = load_tokenizer(checkpoint), evaluation_fonts()
    amounts = Amounts().scaled(share)
    first = Examination(tokenizer, seed, faces, amounts)
    result: dict[str, Any] = {
        "weights_sha256": file_sha256(checkpoint / WEIGHTS_FILE),
        "seed": seed,
        "method": METHOD,
        "fonts": list(faces),
        "voices": sorted({said.voice for said in first.pool}),
    }
    scores = examine(_load(checkpoint), first.papers())
    result["types"] = {kind: score.as_json() for kind, score in scores.items()}
    if earlier is not None:
        again = Examination(tokenizer, seed, faces, amounts, first.pool)
        before = examine(_load(earlier), again.papers())
        for kind, score in before.items():
            result["types"][kind]["earlier"] = round(score.right / score.n, 4)
    return result


def run(args: argparse.Namespace) -> int:
    """Print the table and write the report."""
    import torch

    torch.set_num_threads(1)
    result = report(args.checkpoint, args.seed, args.share, args.earlier)
    for kind, score in result["types"].items():
        before = f"  was {score['earlier']:6.1%}" if "earlier" in score else ""
        low, high = score["interval"]
        span = f"{low:6.1%} to {high:6.1%}"
        print(f"{kind:22} {score['accuracy']:6.1%}  n={score['n']:<5} {span}{before}")
    if args.out is not None:
        args.out.write_text(json.dumps(result, indent=1) + "\n")
    return 0
