from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from sensorium.serving.batch.bodies import RowMaker
from sensorium.serving.batch.inputs import open_input
from sensorium.serving.batch.jsonl import read_jsonl
from sensorium.serving.batch.rows import Bitmap, IdSet, Row
from sensorium.serving.batch.tables import Columns
from sensorium.serving.errors import UserError

CHAT = "/v1/chat/completions"


def rows_of(path: Path | str, columns: Columns | None = None, **maker: Any) -> list[Row]:
    found = open_input(str(path), RowMaker(**maker), columns or Columns())
    rows = list(found.rows())
    assert len(rows) == found.total
    return rows


def codes(rows: list[Row]) -> list[str | None]:
    return [row.problem.code if row.problem else None for row in rows]


class TestJsonl:
    def test_three_kinds_of_lines(self, tmp_path: Path) -> None:
        path = tmp_path / "in.jsonl"
        messages = [{"role": "user", "content": "hi"}]
        path.write_text(
            json.dumps({"custom_id": "a", "method": "POST", "url": CHAT, "body": {"n": 1}})
            + "\n\n"
            + json.dumps(messages)
            + "\n"
            + json.dumps({"custom_id": "c", "messages": messages, "stream": True})
        )
        rows = rows_of(path, model="m", defaults={"seed": 1, "n": 2})
        assert [(row.number, row.custom_id) for row in rows] == [(0, "a"), (1, "row-2"), (2, "c")]
        assert rows[0].body == {"n": 1, "seed": 1, "model": "m"}
        assert rows[1].body == {"messages": messages, "n": 2, "seed": 1, "model": "m"}
        assert rows[2].body == {"messages": messages, "n": 2, "seed": 1, "model": "m"}

    def test_bad_lines_are_rows_with_a_problem(self, tmp_path: Path) -> None:
        path = tmp_path / "in.jsonl"
        good = {"custom_id": "a", "method": "POST", "url": CHAT, "body": {}}
        lines = [
            json.dumps(good).encode(),
            b"{",
            b"\xff\xfe",
            b"3",
            json.dumps(good).encode(),
            json.dumps({**good, "custom_id": 7}).encode(),
            json.dumps({**good, "custom_id": "e", "method": "GET"}).encode(),
            json.dumps({**good, "custom_id": "f", "url": "/v1/files"}).encode(),
            json.dumps({**good, "custom_id": "g", "body": []}).encode(),
            b"[" * 200_000,
        ]
        path.write_bytes(b"\n".join(lines))
        assert codes(rows_of(path)) == [
            None,
            "invalid_json_line",
            "invalid_json_line",
            "invalid_row",
            "duplicate_custom_id",
            "invalid_custom_id",
            "invalid_method",
            "invalid_url",
            "invalid_body",
            "invalid_json_line",
        ]

    def test_strict_lines_need_every_field_and_one_endpoint(self, tmp_path: Path) -> None:
        path = tmp_path / "in.jsonl"
        good = {"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {}}
        path.write_text("\n".join(json.dumps(line) for line in (good, {"messages": []})))
        rows = list(read_jsonl(path, RowMaker(CHAT), strict=True))
        assert codes(rows) == ["mismatched_endpoint", "invalid_custom_id"]


class TestTables:
    @pytest.mark.parametrize(("suffix", "delimiter"), [("csv", ","), ("tsv", "\t")])
    def test_columns(self, tmp_path: Path, suffix: str, delimiter: str) -> None:
        path = tmp_path / f"in.{suffix}"
        with path.open("w", newline="") as file:
            writer = csv.writer(file, delimiter=delimiter)
            writer.writerows([["q", "file", "key"], ["what, is\nit?", "a.png", "k1"]])
            writer.writerows([["and?", "", "k2"], ["", "", "k3"], ["again", "", "k1"]])
        rows = rows_of(path, Columns("q", image="file", custom_id="key"), system="be brief")
        assert [row.custom_id for row in rows] == ["k1", "k2", "k3", "k1"]
        assert codes(rows) == [None, None, "empty_row", "duplicate_custom_id"]
        system, user = rows[0].body["messages"]
        assert system == {"role": "system", "content": "be brief"}
        assert user["content"] == [
            {"type": "image_url", "image_url": {"url": "a.png"}},
            {"type": "text", "text": "what, is\nit?"},
        ]
        assert rows[1].body["messages"][1]["content"] == "and?"

    def test_one_prompt_for_every_row(self, tmp_path: Path) -> None:
        path = tmp_path / "in.csv"
        path.write_text("file\na.png\n")
        (row,) = rows_of(path, Columns("Describe it.", image="file"))
        assert row.body["messages"][0]["content"][1]["text"] == "Describe it."

    def test_a_missing_column_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "in.csv"
        path.write_text("file,text\na.png,b\n")
        with pytest.raises(UserError, match=r"no column 'q'; it has: file, text"):
            rows_of(path, Columns("q"))

    def test_parquet_with_bytes(self, tmp_path: Path) -> None:
        pyarrow = pytest.importorskip("pyarrow", reason="the batch extra brings it")
        parquet = pytest.importorskip("pyarrow.parquet")
        path = tmp_path / "in.parquet"
        image = {"bytes": b"\x89PNG\r\n\x1a\n", "path": "x.png"}
        table = pyarrow.table({"q": ["a", "b"], "image": [image, None], "other": [1, 2]})
        parquet.write_table(table, path)
        rows = rows_of(path, Columns("q", image="image"))
        url = rows[0].body["messages"][0]["content"][0]["image_url"]["url"]
        assert url == "data:image/png;base64,iVBORw0KGgo="
        assert rows[1].body["messages"][0]["content"] == "b"

    def test_without_pyarrow_the_extra_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
        path = tmp_path / "in.parquet"
        path.touch()
        with pytest.raises(UserError, match=r"sensorium\[batch\]"):
            rows_of(path, Columns("q"))


class TestFiles:
    def test_a_folder_and_a_pattern(self, tmp_path: Path) -> None:
        for name in ("b.PNG", "sub/a.wav", "notes.txt"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        rows = rows_of(tmp_path, Columns("Describe it."))
        assert [row.custom_id for row in rows] == ["b.PNG", "sub/a.wav"]
        assert rows[0].body["messages"][0]["content"][0] == {
            "type": "image_url",
            "image_url": {"url": "b.PNG"},
        }
        (row,) = rows_of(f"{tmp_path}/*/*.wav", endpoint="/v1/audio/transcriptions")
        assert row.body == {"file": "sub/a.wav"}

    def test_nothing_there(self, tmp_path: Path) -> None:
        for name in ("none.jsonl", "none*", "."):
            with pytest.raises(UserError):
                rows_of(tmp_path / name)


def test_a_bitmap_is_a_set_of_numbers() -> None:
    bits = Bitmap()
    assert [bits.add(n) for n in (3, 1000, 3, 0)] == [True, True, False, True]
    assert [n in bits for n in (0, 1, 3, 999, 1000, 10**9)] == [
        True,
        False,
        True,
        False,
        True,
        False,
    ]
    assert len(bits) == 3


def test_an_id_set_knows_what_it_has_seen() -> None:
    ids = IdSet()
    assert all(ids.add(f"id-{n}") for n in range(5000))
    assert not any(ids.add(f"id-{n}") for n in range(5000))
