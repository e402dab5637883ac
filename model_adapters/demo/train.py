"""Training on one processor core: fixed steps, one seed, the learning rate falling by steps.

Every step takes one batch of pictures and one batch of another kind. Matrices inside the blocks are
trained by Muon, the rest by AdamW. Started without `--start`, the number of shapes in a picture
grows from one to four over the first half (the curriculum without which nothing binds a colour to
its shape).
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sensorium.model_adapters.demo import voices
from sensorium.model_adapters.demo.batches import BatchMaker
from sensorium.model_adapters.demo.fonts import training_fonts
from sensorium.model_adapters.demo.tokenizer import load_tokenizer
from sensorium.model_adapters.demo.weights import read_weights

if TYPE_CHECKING:
    import torch

__all__ = ["Settings", "configure", "curriculum", "rate_at", "run"]

OTHER_KINDS: Final = {"sound": 0.42, "clip": 0.30, "pair": 0.12, "talk": 0.10, "image": 0.06}
SIZE_SHARES: Final = {"image": 1.0, "sound": 1.0, "clip": 0.25, "pair": 0.4, "talk": 0.7}
LOSS_WEIGHTS: Final = {"image": 1.0, "sound": 0.8, "clip": 0.8, "pair": 0.5, "talk": 0.3}
LOG_EVERY, SAVE_EVERY = 25, 50


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run besides the code."""

    steps: int = 1500
    size: int = 24
    seed: int = 1
    adam_rate: float = 4.5e-4
    muon_rate: float = 4e-3
    warm_up: int = 40
    hold: float = 0.1
    helper_weight: float = 0.3
    heads_first: int = 100
    pool_seed: int = 1
    espeak: int = 7000
    flite: int = 3000
    from_start: bool = False


@dataclass
class _Run:
    settings: Settings
    model: Any
    heads: Any
    optimisers: list[Any]
    step: int = 0
    sums: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


def rate_at(step: int, settings: Settings) -> float:
    """The share of the full learning rate at a step: up, flat for `hold` of the run, down to 0."""
    warm = min(1.0, (step + 1) / settings.warm_up)
    done = step / settings.steps
    fall = 1.0 if done < settings.hold else (1.0 - done) / (1.0 - settings.hold)
    return warm * fall


def curriculum(step: int, settings: Settings) -> int:
    """The largest number of shapes in a picture at a step."""
    if settings.from_start:
        return 4
    done = step / settings.steps
    return 1 if done < 0.03 else 2 if done < 0.25 else 3 if done < 0.5 else 4


def _optimisers(model: Any, heads: Any, settings: Settings) -> list[Any]:
    import torch

    named = [*model.named_parameters(), *((f"heads.{n}", p) for n, p in heads.named_parameters())]
    matrices, wide, narrow = list[Any](), list[Any](), list[Any]()
    for name, parameter in named:
        if parameter.ndim == 2 and ("blocks" in name or "layers" in name):
            matrices.append(parameter)
        else:
            (wide if parameter.ndim > 1 else narrow).append(parameter)
    groups = [{"params": wide, "weight_decay": 0.02}, {"params": narrow, "weight_decay": 0.0}]
    return [
        torch.optim.AdamW(groups, lr=settings.adam_rate, betas=(0.9, 0.98)),
        torch.optim.Muon(matrices, lr=settings.muon_rate, weight_decay=0.02, momentum=0.95),
    ]


def _set_rates(run: _Run) -> None:
    share = rate_at(run.step, run.settings)
    full_rates = (run.settings.adam_rate, run.settings.muon_rate)
    for optimiser, full in zip(run.optimisers, full_rates, strict=True):
        for group in optimiser.param_groups:
            group["lr"] = full * share


def _step(run: _Run, objective: Any, maker: BatchMaker, choice: random.Random) -> None:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    settings = run.settings
    maker.most = curriculum(run.step, settings)
    _set_rates(run)
    other = choice.choices(list(OTHER_KINDS), list(OTHER_KINDS.values()))[0]
    helper = settings.helper_weight * max(0.15, 1 - run.step / settings.steps)
    for kind in ("image", other):
        batch = maker.make(kind, max(2, round(settings.size * SIZE_SHARES[kind])))
        # Plain matrix products: a fifth faster on a processor than its fused attention's gradient.
        with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            loss, log = objective(batch, helper, run.step >= settings.heads_first)
        (LOSS_WEIGHTS[kind] * loss).backward()
        for name, value in log.items():
            run.sums[f"{kind}.{name}"].append(value)
    parameters = [*run.model.parameters(), *run.heads.parameters()]
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    for optimiser in run.optimisers:
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    run.step += 1


def _save(run: _Run, out: Path) -> None:
    import torch

    out.mkdir(parents=True, exist_ok=True)
    state = {
        "step": run.step,
        "settings": asdict(run.settings),
        "model": run.model.state_dict(),
        "heads": run.heads.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in run.optimisers],
    }
    torch.save(state, out / "state.part")
    (out / "state.part").rename(out / "state.pt")


def _resume(run: _Run, path: Path) -> None:
    import torch

    state = torch.load(path, weights_only=True)
    run.model.load_state_dict(state["model"])
    run.heads.load_state_dict(state["heads"])
    for optimiser, kept in zip(run.optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(kept)
    run.step = state["step"]


def _pool(path: Path, settings: Settings) -> list[voices.Utterance]:
    """The training utterances: read from `path`, or spoken now and kept there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        seed, counts = settings.pool_seed, (settings.espeak, settings.flite)
        spoken = voices.speak_many(seed, *counts, workers=2)
        voices.save_pool(path, spoken)
    return voices.load_pool(path)


def _report(run: _Run, out: Path, started: float) -> None:
    if run.step % LOG_EVERY and run.step != run.settings.steps:
        return
    record = {"step": run.step, "seconds": round(time.process_time() - started, 1)}
    means = {name: round(sum(v) / len(v), 4) for name, v in sorted(run.sums.items())}
    run.sums.clear()
    with (out / "log.jsonl").open("a") as log:
        log.write(json.dumps(record | means) + "\n")
    if run.step % SAVE_EVERY == 0:
        _save(run, out)


def _prepare(settings: Settings, start: Path | None) -> _Run:
    import torch

    from sensorium.model_adapters.demo.losses import HelperHeads
    from sensorium.model_adapters.demo.model_config import build_model

    torch.manual_seed(settings.seed)
    weights: dict[str, torch.Tensor] | None = read_weights(start) if start else None
    model, heads = build_model(weights).train(), HelperHeads()
    return _Run(settings, model, heads, _optimisers(model, heads, settings))


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `train`."""
    parser.add_argument("--out", type=Path, required=True, help="folder for the state and the log")
    parser.add_argument("--start", type=Path, help="checkpoint folder to continue from")
    parser.add_argument("--tokenizer", type=Path, help="checkpoint folder with the tokenizer")
    parser.add_argument("--resume", action="store_true", help="go on from the state in --out")
    for name in ("steps", "size", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Settings(), name))
    for name in ("adam-rate", "muon-rate"):
        default = getattr(Settings(), name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=float, default=default)


def run(args: argparse.Namespace) -> int:
    """Train for the steps asked for and leave `state.pt` and `log.jsonl` in `--out`."""
    import torch

    from sensorium.model_adapters.demo.losses import Objective

    torch.set_num_threads(1)
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
    settings = Settings(
        steps=args.steps,
        size=args.size,
        seed=args.seed,
        adam_rate=args.adam_rate,
        muon_rate=args.muon_rate,
        from_start=args.start is not None,
    )
    tokenizer = load_tokenizer(args.tokenizer or args.start)
    pool = _pool(args.out / "voices.npz", settings)
    training = _prepare(settings, args.start)
    if args.resume:
        _resume(training, args.out / "state.pt")
    # A resumed run draws other pictures than the ones already seen.
    seed = settings.seed * 1_000_003 + training.step
    maker = BatchMaker(tokenizer, seed, training_fonts(), pool)
    objective, choice = Objective(training.model, training.heads, tokenizer), random.Random(seed)
    started = time.process_time()
    while training.step < settings.steps:
        _step(training, objective, maker, choice)
        _report(training, args.out, started)
    _save(training, args.out)
    return 0
