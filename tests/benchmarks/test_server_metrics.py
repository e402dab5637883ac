"""Stages and caches from two scrapes."""

from __future__ import annotations

import pytest

from sensorium.benchmarks.measure.server_metrics import caches, parse, stages

BEFORE = """\
# TYPE vllm:request_queue_time_seconds histogram
vllm:request_queue_time_seconds_bucket{le="0.1",model_name="m"} 5
vllm:request_queue_time_seconds_bucket{le="0.2",model_name="m"} 5
vllm:request_queue_time_seconds_bucket{le="+Inf",model_name="m"} 5
vllm:request_queue_time_seconds_sum{model_name="m"} 0.2
vllm:request_queue_time_seconds_count{model_name="m"} 5
# TYPE vllm:mm_cache_queries counter
vllm:mm_cache_queries_total{model_name="m",engine="0"} 10
vllm:mm_cache_queries_total{model_name="m",engine="1"} 10
# TYPE vllm:mm_cache_hits counter
vllm:mm_cache_hits_total{model_name="m",engine="0"} 1
vllm:mm_cache_hits_total{model_name="other",engine="0"} 500
"""
AFTER = """\
# TYPE vllm:request_queue_time_seconds histogram
vllm:request_queue_time_seconds_bucket{le="0.1",model_name="m"} 10
vllm:request_queue_time_seconds_bucket{le="0.2",model_name="m"} 15
vllm:request_queue_time_seconds_bucket{le="+Inf",model_name="m"} 15
vllm:request_queue_time_seconds_sum{model_name="m"} 1.2
vllm:request_queue_time_seconds_count{model_name="m"} 15
# TYPE vllm:request_prefill_time_seconds histogram
vllm:request_prefill_time_seconds_sum{model_name="m"} 0
vllm:request_prefill_time_seconds_count{model_name="m"} 0
# TYPE vllm:mm_cache_queries counter
vllm:mm_cache_queries_total{model_name="m",engine="0"} 20
vllm:mm_cache_queries_total{model_name="m",engine="1"} 20
# TYPE vllm:mm_cache_hits counter
vllm:mm_cache_hits_total{model_name="m",engine="0"} 6
vllm:mm_cache_hits_total{model_name="other",engine="0"} 900
"""


def test_a_stage_is_what_was_added_between_the_scrapes() -> None:
    found = stages(parse(BEFORE, "m"), parse(AFTER, "m"))
    assert set(found) == {"queue"}  # nothing was prefilled; the other stages are not reported
    assert found["queue"]["count"] == 10
    assert found["queue"]["mean_ms"] == pytest.approx(100.0)
    assert found["queue"]["p90_ms"] == pytest.approx(180.0)


def test_hits_are_added_over_engines_and_not_over_models() -> None:
    found = caches(parse(BEFORE, "m"), parse(AFTER, "m"))
    assert found == {"processor cache (media)": {"queries": 20.0, "hits": 5.0, "hit_rate": 0.25}}


def test_a_cache_nobody_asked_has_no_rate() -> None:
    found = caches(parse(BEFORE, "m"), parse(BEFORE, "m"))
    assert found["processor cache (media)"]["hit_rate"] is None


def test_what_lies_above_the_last_bucket_is_its_bound() -> None:
    text = AFTER.replace('le="0.2",model_name="m"} 15', 'le="0.2",model_name="m"} 12')
    assert stages(parse(""), parse(text, "m"))["queue"]["p90_ms"] == pytest.approx(200.0)


def test_stages_that_are_labels_and_stages_that_are_names() -> None:
    text = """\
# TYPE sensorium_mm_media_decode_latency_seconds histogram
sensorium_mm_media_decode_latency_seconds_bucket{media_type="image",le="+Inf"} 4
sensorium_mm_media_decode_latency_seconds_sum{media_type="image"} 0.2
sensorium_mm_media_decode_latency_seconds_count{media_type="image"} 4
# TYPE sensorium_mm_media_preprocess_latency_seconds histogram
sensorium_mm_media_preprocess_latency_seconds_bucket{media_type="image",le="+Inf"} 4
sensorium_mm_media_preprocess_latency_seconds_sum{media_type="image"} 0.4
sensorium_mm_media_preprocess_latency_seconds_count{media_type="image"} 4
# TYPE sensorium_mm_media_encode_latency_seconds histogram
sensorium_mm_media_encode_latency_seconds_sum{media_type="image",model="m"} 0.8
sensorium_mm_media_encode_latency_seconds_count{media_type="image",model="m"} 4
sensorium_mm_media_encode_latency_seconds_sum{media_type="image",model="n"} 99
sensorium_mm_media_encode_latency_seconds_count{media_type="image",model="n"} 3
# TYPE sensorium_mm_cache_queries counter
sensorium_mm_cache_queries_total{stage="prepared"} 4
sensorium_mm_cache_queries_total{stage="fetched"} 9
# TYPE sensorium_mm_cache_hits counter
sensorium_mm_cache_hits_total{stage="prepared"} 1
sensorium_mm_cache_hits_total{stage="fetched"} 7
"""
    found = stages(parse(""), parse(text, "m"))
    assert {name: stage["mean_ms"] for name, stage in found.items()} == {
        "media decode": pytest.approx(50.0),
        "prepare": pytest.approx(100.0),
        "encode": pytest.approx(200.0),
    }
    assert caches(parse(""), parse(text, "m"))["prepared media"]["hit_rate"] == 0.25


def test_every_name_of_ours_is_one_that_the_server_exports() -> None:
    from prometheus_client import generate_latest

    from sensorium.benchmarks.measure.server_metrics import CACHES, STAGES
    from sensorium.serving.http.worker_metrics import worker_registry
    from sensorium.serving.media.pipeline import MediaPipeline

    exported = generate_latest(MediaPipeline().measures.registry).decode()
    exported += generate_latest(worker_registry({})).decode()
    names = [name for known in STAGES.values() for name in known]
    names += [name for asked, _ in CACHES.values() for name in asked]
    ours = {name.partition("[")[0] for name in names if name.startswith("sensorium_")}
    assert ours
    for name in ours:
        assert f"# HELP {name} " in exported, name
