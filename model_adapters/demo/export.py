"""Writing a trained state as a checkpoint folder that vLLM and transformers load as it is."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sensorium.model_adapters.demo import tokenizer as tokens
from sensorium.model_adapters.demo.model_config import PIXELS, thinker_config
from sensorium.model_adapters.demo.signals import MEL_BINS, RATE
from sensorium.model_adapters.demo.weights import WEIGHTS_FILE, file_sha256, write_weights

__all__ = ["CHECKSUM_FILE", "average", "configure", "run", "write_checkpoint"]

CHECKSUM_FILE: Final = "SHA256SUMS"
CLIP_SECONDS: Final = 15
"""Longest sound that the feature extractor takes, in seconds."""


def _model_config() -> dict[str, Any]:
    thinker: dict[str, Any] = thinker_config().to_dict()
    # vLLM reads these two, and transformers does not write them.
    thinker["vision_config"] |= {"image_size": 256, "apply_vit_abs_pos_embed": True}
    thinker["dtype"] = "bfloat16"
    return {
        "architectures": ["Qwen3OmniMoeForConditionalGeneration"],
        "model_type": "qwen3_omni_moe",
        "enable_audio_output": False,
        "dtype": "bfloat16",
        "thinker_config": thinker,
        "eos_token_id": tokens.TURN_END,
        "pad_token_id": tokens.PAD,
    }


def _vision_processor() -> dict[str, Any]:
    return {
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "merge_size": 2,
        "patch_size": 16,
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"shortest_edge": PIXELS[0], "longest_edge": PIXELS[1]},
        "temporal_patch_size": 2,
    }


def _processor_config() -> dict[str, Any]:
    return {
        "processor_class": "Qwen3OmniMoeProcessor",
        "image_processor": _vision_processor() | {"image_processor_type": "Qwen2VLImageProcessor"},
        "video_processor": _vision_processor()
        | {
            "video_processor_type": "Qwen2VLVideoProcessor",
            "do_sample_frames": False,
            "max_frames": 768,
            "min_frames": 4,
            "return_metadata": False,
        },
        "feature_extractor": {
            "feature_extractor_type": "WhisperFeatureExtractor",
            "feature_size": MEL_BINS,
            "sampling_rate": RATE,
            "hop_length": 160,
            "n_fft": 400,
            "chunk_length": CLIP_SECONDS,
            "n_samples": CLIP_SECONDS * RATE,
            "nb_max_frames": CLIP_SECONDS * 100,
            "dither": 0.0,
            "padding_side": "right",
            "padding_value": 0.0,
            "return_attention_mask": False,
        },
    }


def _tokenizer_config() -> dict[str, Any]:
    names = {
        "image_token": tokens.SPECIAL[tokens.IMAGE],
        "video_token": tokens.SPECIAL[tokens.VIDEO],
        "audio_token": tokens.SPECIAL[tokens.AUDIO],
        "vision_bos_token": tokens.SPECIAL[tokens.VISION_START],
        "vision_eos_token": tokens.SPECIAL[tokens.VISION_END],
        "audio_bos_token": tokens.SPECIAL[tokens.AUDIO_START],
        "audio_eos_token": tokens.SPECIAL[tokens.AUDIO_END],
    }
    return {
        **names,
        "backend": "tokenizers",
        "tokenizer_class": "TokenizersBackend",
        "processor_class": "Qwen3OmniMoeProcessor",
        "eos_token": tokens.SPECIAL[tokens.TURN_END],
        "pad_token": tokens.SPECIAL[tokens.PAD],
        "extra_special_tokens": [],
        "model_specific_special_tokens": names,
        "model_max_length": 4096,
        # Omni processors' own defaults override the processor file; this overrides them in turn.
        "size": {"shortest_edge": PIXELS[0], "longest_edge": PIXELS[1]},
    }


def _generation_config() -> dict[str, Any]:
    return {
        "eos_token_id": [tokens.TURN_END, tokens.PAD],
        "pad_token_id": tokens.PAD,
        "do_sample": False,
        "temperature": 0.0,
    }


def write_checkpoint(state: dict[str, Any], tokenizer_file: Path, folder: Path) -> int:
    """Write weights, tokenizer and configuration to `folder`; returns the number of parameters.

    `state` is the state of transformers' thinker, `tokenizer_file` a `tokenizer.json`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parameters = write_weights(folder, state)
    files = {
        "config.json": _model_config(),
        "generation_config.json": _generation_config(),
        "processor_config.json": _processor_config(),
        "tokenizer_config.json": _tokenizer_config(),
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=1) + "\n")
    (folder / "chat_template.jinja").write_text(tokens.CHAT_TEMPLATE)
    target = folder / "tokenizer.json"
    if tokenizer_file.resolve() != target.resolve():
        shutil.copyfile(tokenizer_file, target)
    checksum = file_sha256(folder / WEIGHTS_FILE)
    (folder / CHECKSUM_FILE).write_text(f"{checksum}  {WEIGHTS_FILE}\n")
    return parameters


def average(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mean of each tensor over states of one run, which answers better than the last alone."""
    return {name: sum(state[name] for state in states) / len(states) for name in states[0]}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `export`."""
    parser.add_argument("folder", type=Path, help="checkpoint folder to write")
    parser.add_argument(
        "states", type=Path, nargs="+", help="state.pt that training left; several are averaged"
    )
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json to put in")


def run(args: argparse.Namespace) -> int:
    """Write the folder and say how large it is."""
    import torch

    states = [torch.load(path, weights_only=True) for path in args.states]
    state = average([state["model"] for state in states])
    parameters = write_checkpoint(state, args.tokenizer, args.folder)
    size = (args.folder / WEIGHTS_FILE).stat().st_size
    steps = " and ".join(str(state["step"]) for state in states)
    print(f"{parameters:,} parameters, {size:,} bytes, {steps} steps: {args.folder}")
    return 0
