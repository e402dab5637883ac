"""What a batch is read from: the kinds of input, how each is recognised, what identifies it.

A reader is an iterator of rows, in a fixed order, that never holds more than a few of them.
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sensorium.serving.batch.bodies import RowMaker
from sensorium.serving.batch.jsonl import read_jsonl
from sensorium.serving.batch.rows import Row
from sensorium.serving.batch.tables import Columns, count_table, read_table
from sensorium.serving.errors import UserError

__all__ = ["BatchInput", "open_input"]

_LINES = {".jsonl", ".ndjson", ".json"}
_TABLES = {".csv": "csv", ".tsv": "tsv", ".parquet": "parquet", ".pq": "parquet"}
_SUFFIXES = {
    "image": "png jpg jpeg gif bmp tif tiff webp avif heic",
    "audio": "wav mp3 flac ogg oga opus m4a aac",
    "video": "mp4 webm mov mkv avi",
}
_MEDIA = {suffix: kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}


@dataclass
class BatchInput:
    """An input that has been found and measured.

    `digest` changes with every change of its content; `media_root` is the folder its relative
    paths start from; `total` is the number of rows.
    """

    kind: str
    path: Path
    total: int
    digest: str
    media_root: Path
    _files: Sequence[Path]
    _maker: RowMaker
    _columns: Columns

    def rows(self) -> Iterator[Row]:
        """Its rows from the first on; may be called again."""
        if self.kind == "jsonl":
            yield from read_jsonl(self.path, self._maker)
        elif self.kind == "files":
            for number, file in enumerate(self._files):
                yield self._file_row(number, file)
        else:
            yield from read_table(self.path, self.kind, self._columns, self._maker)

    def _file_row(self, number: int, file: Path) -> Row:
        name = file.relative_to(self.path).as_posix()
        modality = _MEDIA[file.suffix[1:].lower()]
        return self._maker.make(number, name, self._columns.prompt, {modality: [name]})


def open_input(text: str, maker: RowMaker, columns: Columns) -> BatchInput:
    """Find out what `text` (a file, a folder or a pattern) is, and read it once to identify it.

    Raises UserError when there is nothing of that name or its kind is not known.
    """
    path = Path(text)
    try:
        if path.is_dir():
            return _folder(path, sorted(path.rglob("*")), maker, columns)
        if path.is_file():
            return _file(path, maker, columns)
        if glob.has_magic(text):
            found = [Path(name) for name in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207
            return _folder(_fixed_part(path), found, maker, columns)
    except OSError as error:
        raise UserError(f"cannot read the input {text}: {error.strerror}") from None
    raise UserError(f"no input {text!r}: neither a file, nor a folder, nor a pattern")


def _file(path: Path, maker: RowMaker, columns: Columns) -> BatchInput:
    suffix = path.suffix.lower()
    if suffix in _LINES:
        kind, total = "jsonl", None
    elif suffix in _TABLES:
        kind = _TABLES[suffix]
        total = count_table(path, kind, columns)
    else:
        known = ", ".join(sorted({*_LINES, *_TABLES}))
        raise UserError(f"cannot tell what {path} holds; a file must end with one of {known}")
    digest, lines = _digest(path)
    root = path.resolve().parent
    return BatchInput(
        kind, path, lines if total is None else total, digest, root, (), maker, columns
    )


def _digest(path: Path) -> tuple[str, int]:
    """The sha256 of a file, and how many of its lines are not empty."""
    hasher = hashlib.sha256()
    lines = 0
    with path.open("rb") as file:
        for line in file:
            hasher.update(line)
            lines += not line.isspace()
    return f"sha256:{hasher.hexdigest()}", lines


def _folder(root: Path, found: list[Path], maker: RowMaker, columns: Columns) -> BatchInput:
    files = [path for path in found if path.suffix[1:].lower() in _MEDIA and path.is_file()]
    if not files:
        raise UserError(f"{root} holds no image, sound or video: {', '.join(sorted(_MEDIA))}")
    hasher = hashlib.sha256()
    for file in files:
        status = file.stat()
        name = file.relative_to(root).as_posix()
        hasher.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="replace"))
    digest = f"sha256:{hasher.hexdigest()}"
    return BatchInput("files", root, len(files), digest, root.resolve(), files, maker, columns)


def _fixed_part(pattern: Path) -> Path:
    parts: list[str] = []
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return Path(*parts) if parts else Path()
