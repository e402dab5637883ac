import hashlib
import json
from pathlib import Path

import pytest

from tests.kit.tiny_whisper import SENTENCE, byte_tokens, write_tiny_whisper


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    def digest(folder: Path) -> str:
        contents = [path.read_bytes() for path in sorted(folder.iterdir())]
        return hashlib.sha256(b"".join(contents)).hexdigest()

    first, again, other = (
        digest(write_tiny_whisper(tmp_path / name, seed=seed))
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again != other


def test_the_tokenizer_is_complete(tmp_path: Path) -> None:
    folder = write_tiny_whisper(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    assert len(set(byte_tokens())) == 256
    assert config["vocab_size"] == 256 + len(ids) == max(ids.values()) + 1
    assert ids["<|30.00|>"] - ids["<|notimestamps|>"] == 1501
    assert ids["<|translate|>"] - ids["<|startoftranscript|>"] == 100


def test_text_survives_the_tokenizer(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    folder = write_tiny_whisper(tmp_path)
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    text = f"{SENTENCE} Grüße, 你好"
    assert tokenizer.encode(text).ids == list(text.encode())
    assert tokenizer.decode(tokenizer.encode(f"<|en|>{text}<|0.02|>").ids) == f"{text}<|0.02|>"
