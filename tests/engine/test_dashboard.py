"""Every query of the Grafana dashboard names metrics and labels that a real server has."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.kit.live_server import LiveServer

pytestmark = pytest.mark.engine
BOARD = Path(__file__).resolve().parents[2] / "docs" / "grafana" / "sensorium.json"
_METRIC = re.compile(r"\b(?:sensorium_|vllm:)[a-z_]+")
_BY = re.compile(r"by \(([^)]*)\)")
# Written at the first request of their kind, which another test may not have made yet.
_LATER = {"status", "route", "media_type", "stage", "outcome"}


def labels_of_metrics(server: LiveServer) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    text = httpx.get(f"{server.url}/metrics", timeout=10).text
    for family in text_string_to_metric_families(text):
        suffix = "_total" if family.type == "counter" else ""
        found[family.name + suffix] |= set()
        if family.type == "histogram":
            found[f"{family.name}_bucket"].add("le")
            found[f"{family.name}_sum"] |= set()
        for sample in family.samples:
            found[sample.name] |= set(sample.labels)
    return found


def test_every_query_asks_for_what_is_there(server: LiveServer) -> None:
    known = labels_of_metrics(server)
    queries = [
        t["expr"] for panel in json.loads(BOARD.read_text())["panels"] for t in panel["targets"]
    ]
    assert len(queries) > 20
    for query in queries:
        names = _METRIC.findall(query)
        assert names, query
        assert set(names) <= known.keys(), query
        for labels in _BY.findall(query):
            asked = {label.strip() for label in labels.split(",")}
            assert asked <= known[names[0]] | _LATER, query
