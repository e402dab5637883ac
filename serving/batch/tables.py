"""CSV, TSV and Parquet as rows: which column is the prompt, which hold media."""

from __future__ import annotations

import base64
import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensorium.serving.batch.bodies import RowMaker
from sensorium.serving.batch.rows import IdSet, Problem, Row
from sensorium.serving.errors import UserError
from sensorium.serving.media.sniff import sniff_media_type

__all__ = ["Columns", "count_table", "import_pyarrow", "read_table"]

_BATCH_ROWS = 256


@dataclass(frozen=True)
class Columns:
    """Which columns hold what.

    `prompt` is a column, or a text with a space in it that every row gets. Media columns hold
    paths or URLs; in Parquet also lists of them, or the bytes themselves.
    """

    prompt: str | None = None
    image: str | None = None
    audio: str | None = None
    video: str | None = None
    custom_id: str | None = None

    def media(self) -> dict[str, str]:
        """The columns with media, by modality."""
        named = {"image": self.image, "audio": self.audio, "video": self.video}
        return {modality: name for modality, name in named.items() if name is not None}

    def check(self, header: Sequence[str], path: Path) -> None:
        """Raise UserError where a column is not in the table."""
        if self.prompt is None and not self.media():
            raise UserError(f"--prompt or --image or --audio must name a column of {path}")
        wanted = [*self.media().values(), *([self.custom_id] if self.custom_id else [])]
        if self.prompt is not None and " " not in self.prompt:
            wanted.append(self.prompt)
        for name in wanted:
            if name not in header:
                raise UserError(
                    f"{path} has no column {name!r}; it has: {', '.join(header)} (a --prompt "
                    "with a space in it is taken as the text for every row)"
                )


def count_table(path: Path, kind: str, columns: Columns) -> int:
    """The number of rows, after a check of the columns."""
    if kind == "parquet":
        with _parquet(path) as file:
            columns.check(file.schema_arrow.names, path)
            return int(file.metadata.num_rows)
    rows = _csv_rows(path, kind)
    columns.check(next(rows, []), path)
    return sum(1 for _ in rows)


def read_table(path: Path, kind: str, columns: Columns, maker: RowMaker) -> Iterator[Row]:
    """The rows of a table, a few hundred in memory at a time."""
    seen = IdSet()
    records = _parquet_records(path, columns) if kind == "parquet" else _csv_records(path, kind)
    for number, record in enumerate(records):
        row = _row(number, record, columns, maker)
        if columns.custom_id and row.custom_id is not None and not seen.add(row.custom_id):
            message = f"an earlier row has the id {row.custom_id[:80]!r} too"
            row.problem = Problem("duplicate_custom_id", message, "custom_id")
        yield row


def _row(number: int, record: Mapping[str, Any], columns: Columns, maker: RowMaker) -> Row:
    custom_id = record.get(columns.custom_id) if columns.custom_id else f"row-{number + 1}"
    prompt = columns.prompt
    if prompt is not None and prompt in record:
        value = record[prompt]
        prompt = None if value is None else str(value)
    media = {
        modality: list(_media_urls(record.get(name), modality))
        for modality, name in columns.media().items()
    }
    row = maker.make(number, str(custom_id), prompt, media)
    if not prompt and not any(media.values()):
        row.problem = Problem("empty_row", "the row has neither a prompt nor media")
    return row


def _media_urls(value: Any, modality: str) -> Iterator[str]:
    """The media in a cell: a path, a URL, bytes, `{bytes, path}` as in data sets, or a list."""
    if value is None or value == "":
        return
    if isinstance(value, list):
        for item in value:
            yield from _media_urls(item, modality)
    elif isinstance(value, dict):
        yield from _media_urls(value.get("bytes") or value.get("path"), modality)
    elif isinstance(value, bytes):
        media_type = sniff_media_type(value[:32]) or f"{modality}/unknown"
        yield f"data:{media_type};base64,{base64.b64encode(value).decode('ascii')}"
    else:
        yield str(value)


def _csv_rows(path: Path, kind: str) -> Iterator[list[str]]:
    csv.field_size_limit(min(sys.maxsize, 1 << 30))
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        for record in csv.reader(file, delimiter="\t" if kind == "tsv" else ","):
            if record:
                yield record


def _csv_records(path: Path, kind: str) -> Iterator[dict[str, str]]:
    rows = _csv_rows(path, kind)
    header = next(rows, [])
    for row in rows:
        yield dict(zip(header, row, strict=False))


def import_pyarrow() -> Any:
    """pyarrow with its Parquet module, or a UserError that says how to have it."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError(
            "Parquet needs pyarrow; `pip install 'sensorium[batch]'`, or use CSV or JSONL"
        ) from None
    return pyarrow


def _parquet(path: Path) -> Any:
    pyarrow = import_pyarrow()
    try:
        return pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as error:
        raise UserError(f"{path} is not a Parquet file: {str(error)[:200]}") from None


def _parquet_records(path: Path, columns: Columns) -> Iterator[dict[str, Any]]:
    with _parquet(path) as file:
        wanted = {columns.prompt, columns.custom_id, *columns.media().values()}
        names = [name for name in file.schema_arrow.names if name in wanted]
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=names):
            yield from batch.to_pylist()
