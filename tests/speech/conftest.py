"""A server with Whisper base, and the authors' own code with the same weights."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest

from sensorium.benchmarks.speech.recordings import Clip, librivox_clips
from sensorium.model_adapters import catalogue
from sensorium.model_adapters.tensor_files import scan
from sensorium.model_adapters.whisper.openai import huggingface_name
from tests.kit.live_server import LiveServer


@pytest.fixture(scope="session")
def folder() -> Path:
    """Whisper base as Hugging Face has it."""
    model = catalogue.KNOWN["whisper-base"]
    if not model.installed():
        pytest.skip("whisper-base is not on this machine; `sensorium pull whisper-base` fetches it")
    return model.path()


@pytest.fixture(scope="session")
def clips() -> list[Clip]:
    """Five sentences read aloud."""
    found = librivox_clips()
    if not found:
        pytest.skip("Debian's package pocketsphinx-testdata is not installed")
    return found


@pytest.fixture(scope="session")
def original(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights as OpenAI's `.pt` file."""
    import torch
    from safetensors.torch import load_file

    config = json.loads((folder / "config.json").read_text())
    weights = load_file(folder / "model.safetensors")
    path = tmp_path_factory.mktemp("original") / "base.pt"
    (path.parent / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    whisper = pytest.importorskip("whisper", reason="openai-whisper is not installed")
    dims = {
        "n_mels": config["num_mel_bins"],
        "n_audio_ctx": config["max_source_positions"],
        "n_audio_state": config["d_model"],
        "n_audio_head": config["encoder_attention_heads"],
        "n_audio_layer": config["encoder_layers"],
        "n_vocab": config["vocab_size"],
        "n_text_ctx": config["max_target_positions"],
        "n_text_state": config["d_model"],
        "n_text_head": config["decoder_attention_heads"],
        "n_text_layer": config["decoder_layers"],
    }
    # The authors' class says which names there are; ours says how they are called elsewhere.
    names = whisper.model.Whisper(whisper.model.ModelDimensions(**dims)).state_dict()
    state = {name: weights[huggingface_name(name)] for name in names if "mask" not in name}
    torch.save({"dims": dims, "model_state_dict": state}, path)
    assert len(scan(folder).tensors) == len(state)
    return path


@pytest.fixture(scope="session")
def authors(original: Path, folder: Path) -> Any:
    """The authors' model, told which heads align as the checkpoint says."""
    import torch
    import whisper

    with warnings.catch_warnings():
        # Its vocabulary is read once for all models, from a file that it leaves open.
        warnings.simplefilter("ignore", ResourceWarning)
        whisper.tokenizer.get_tokenizer(True, num_languages=99, task="transcribe")
    model = whisper.load_model(str(original), device="cpu")
    heads = json.loads((folder / "generation_config.json").read_text())["alignment_heads"]
    mask = torch.zeros(model.dims.n_text_layer, model.dims.n_text_head, dtype=torch.bool)
    for layer, head in heads:
        mask[layer, head] = True
    model.register_buffer("alignment_heads", mask.to_sparse(), persistent=False)
    return model


@pytest.fixture(scope="session")
def server(
    folder: Path, original: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """A server of Whisper base, as `base`, and of the same in OpenAI's layout, `original`.

    The latter does not say which heads align, so it is not asked for words.
    """
    log = tmp_path_factory.mktemp("server") / "server.log"
    options = ["--dtype", "float32", "--kv-cache-memory-bytes", str(256 << 20)]
    options += ["--max-audio-seconds", str(7 * 3600)]
    with LiveServer([f"base={folder}", f"original={original}", *options], log) as live:
        live.wait_ready(900)
        yield live


@pytest.fixture(scope="session")
def client(server: LiveServer) -> Iterator[openai.OpenAI]:
    """A client of the server that waits as long as an hour's recording takes."""
    with openai.OpenAI(
        base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=3600
    ) as ours:
        yield ours


def floats(samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """As the authors' code takes them."""
    return samples.astype(np.float32) / 32768
