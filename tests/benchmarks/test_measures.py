"""Definitions, summaries, limits and verdicts, on made-up records."""

from __future__ import annotations

import numpy as np
import pytest

from sensorium.benchmarks.load.arrivals import Arrivals
from sensorium.benchmarks.load.runner import Level, LevelRun
from sensorium.benchmarks.measure.goodput import is_good, parse_limits
from sensorium.benchmarks.measure.level import ServerSide, measure_level
from sensorium.benchmarks.measure.record import MediaFact, RequestRecord
from sensorium.benchmarks.measure.statistics import mean_interval, ratio_of_means, summarize
from sensorium.benchmarks.measure.verdict import judge
from sensorium.serving.errors import UserError

NO_SERVER = ServerSide({}, {}, None, None)


def answered(index: int, due: float, events: list[float], **more: object) -> RequestRecord:
    """A record of a stream that was answered."""
    settings = {"sent": due, "ended": events[-1], "streamed": True, "output_tokens": len(events)}
    return RequestRecord(index, due, events=events, **{**settings, **more})  # type: ignore[arg-type]


class TestDefinitions:
    record = answered(0, 1.0, [1.5, 1.6, 1.8, 2.1], sent=1.1, output_tokens=5)

    def test_latencies_count_from_the_intended_time(self) -> None:
        assert self.record.ttft == pytest.approx(0.5)
        assert self.record.e2e == pytest.approx(1.1)
        assert self.record.send_lag == pytest.approx(0.1)

    def test_tpot_divides_by_tokens_and_itl_by_events(self) -> None:
        assert self.record.tpot == pytest.approx((2.1 - 1.5) / 4)
        assert self.record.itl == pytest.approx([0.1, 0.2, 0.3])

    def test_a_whole_answer_has_only_an_end(self) -> None:
        whole = RequestRecord(0, 1.0, sent=1.0, ended=3.0, output_tokens=9)
        assert (whole.ttft, whole.tpot, whole.itl, whole.e2e) == (None, None, [], 2.0)

    def test_one_token_has_no_time_per_output_token(self) -> None:
        assert answered(0, 0.0, [1.0]).tpot is None


class TestSummaries:
    def test_percentiles_and_moments(self) -> None:
        summary = summarize([[float(v)] for v in range(1, 101)])
        assert summary is not None
        assert summary["mean"] == 50.5
        assert summary["std"] == pytest.approx(29.011, abs=0.001)
        assert (summary["p50"], summary["p90"]) == (50.5, pytest.approx(90.1))
        assert (summary["min"], summary["max"], summary["n"]) == (1.0, 100.0, 100)

    def test_nothing_measured_is_none(self) -> None:
        assert summarize([[], []]) is None

    def test_the_interval_of_a_mean_holds_the_mean_95_times_in_100(self) -> None:
        source = np.random.default_rng(0)
        held = 0
        for trial in range(300):
            sample = [np.array([v]) for v in source.gamma(2.0, 10.0, size=200)]
            interval = mean_interval(sample, seed=trial)
            assert interval is not None
            held += interval[0] <= 20.0 <= interval[1]
        assert 0.90 <= held / 300 <= 0.98

    def test_requests_that_share_a_queue_widen_the_interval(self) -> None:
        source = np.random.default_rng(1)
        noise = source.normal(size=2000)
        chained = [noise[0]]
        for shock in noise[1:]:
            chained.append(0.8 * chained[-1] + shock)
        shuffled = source.permutation(chained)
        widths = []
        for values in (chained, shuffled):
            interval = mean_interval([np.array([v]) for v in values])
            assert interval is not None
            widths.append(interval[1] - interval[0])
        assert widths[0] > 1.7 * widths[1]

    def test_gaps_of_one_request_are_not_taken_for_independent(self) -> None:
        source = np.random.default_rng(2)
        paces = source.normal(20.0, 5.0, size=60)
        by_request = summarize([[float(pace)] * 50 for pace in paces])
        as_if_free = summarize(
            [[float(pace)] for pace in np.repeat(paces, 50)[np.argsort(source.random(3000))]]
        )
        assert by_request is not None
        assert as_if_free is not None
        assert by_request["ci95"] is not None
        assert as_if_free["ci95"] is not None
        width, free = (s["ci95"][1] - s["ci95"][0] for s in (by_request, as_if_free))
        assert width > 4 * free

    def test_intervals_of_percentiles_need_enough_requests(self) -> None:
        source = np.random.default_rng(3)
        small = summarize([[v] for v in source.exponential(size=100)])
        large = summarize([[v] for v in source.exponential(size=4000)])
        assert small is not None
        assert large is not None
        assert small["p99_ci95"] is None
        assert small["p50_ci95"] is not None
        assert large["p99_ci95"] is not None
        assert large["p99_ci95"][0] < np.log(100) < large["p99_ci95"][1]

    def test_a_ratio_carries_both_uncertainties(self) -> None:
        source = np.random.default_rng(4)
        a = summarize([[v] for v in source.normal(100, 20, size=500)])
        b = summarize([[v] for v in source.normal(150, 20, size=500)])
        assert a is not None
        assert b is not None
        ratio = ratio_of_means(a, b)
        assert ratio["ci95"] is not None
        assert ratio["ci95"][0] < 1.5 < ratio["ci95"][1]
        assert ratio["ci95"][1] - ratio["ci95"][0] < 0.12


class TestGoodput:
    def test_every_limit_must_be_kept(self) -> None:
        record = answered(0, 0.0, [0.4, 0.5, 0.6])
        assert is_good(record, parse_limits(["ttft:400", "tpot:101"]))
        assert not is_good(record, parse_limits(["ttft:399"]))
        assert not is_good(record, parse_limits(["ttft:500", "itl:99"]))

    def test_a_failed_request_is_never_good(self) -> None:
        assert not is_good(answered(0, 0.0, [0.1], error="timeout"), {})

    @pytest.mark.parametrize("text", ["ttft", "speed:4", "ttft:-1", "ttft:x"])
    def test_other_limits_are_refused(self, text: str) -> None:
        with pytest.raises(UserError, match="write MEASURE:MILLISECONDS"):
            parse_limits([text])


class TestVerdict:
    def steady(self, count: int = 1200, **more: object) -> list[RequestRecord]:
        return [answered(i, i / 50, [i / 50 + 0.1 + 0.001 * (i % 7)], **more) for i in range(count)]

    def codes(self, records: list[RequestRecord], seconds: float = 24.0) -> list[str]:
        e2e = summarize([[1e3 * r.e2e] for r in records if r.ok])
        return [warning["code"] for warning in judge(records, seconds, e2e)]

    def test_a_long_steady_run_has_nothing_against_it(self) -> None:
        assert self.codes(self.steady()) == []

    def test_too_short(self) -> None:
        assert self.codes(self.steady(20)) == ["too_short"]
        assert "too_short" in self.codes(self.steady(), seconds=3.0)

    def test_a_p99_of_few_requests(self) -> None:
        assert self.codes(self.steady(300)) == ["thin_tail"]

    def test_too_noisy(self) -> None:
        source = np.random.default_rng(0)
        records = [answered(i, i / 50, [i / 50 + source.pareto(1.1)]) for i in range(1200)]
        assert "too_noisy" in self.codes(records)

    def test_a_queue_that_grows(self) -> None:
        records = [answered(i, i / 50, [i / 50 + 0.1 + i / 1e4]) for i in range(1200)]
        assert "not_steady" in self.codes(records)

    def test_failures(self) -> None:
        records = [*self.steady(1150), *self.steady(50, error="timeout")]
        assert self.codes(records) == ["failures"]

    def test_requests_sent_late_by_this_tool(self) -> None:
        late = self.steady()
        for record in late:
            record.sent += 0.05
        assert self.codes(late) == ["send_lag"]

    def test_tokens_that_arrive_in_bunches(self) -> None:
        records = [answered(i, i / 50, [i / 50 + t for t in (0.1, 0.1, 0.1)]) for i in range(1200)]
        assert self.codes(records) == ["bunched"]

    def test_requests_made_while_the_run_went_on(self) -> None:
        assert self.codes(self.steady(prepared_late=True)) == ["prepared_late"]


class TestLevel:
    def test_sums_and_rates(self) -> None:
        image = MediaFact("image", 0.5, 1000, "1000x500")
        records = [
            answered(
                0, 0.0, [0.5, 1.0], input_tokens=10, media_tokens={"image": 4}, media=(image,)
            ),
            answered(1, 1.0, [1.5, 2.0], input_tokens=10, bytes_up=99, media=(image, image)),
            RequestRecord(2, 1.5, ended=1.6, error="http_429", detail="slow down"),
        ]
        records[0].media_tokens = {"image": 4}
        level = Level(arrivals=Arrivals(1.0))
        run = LevelRun(level, records=records, seconds=9.0, own_cpu_seconds=0.3)
        result = measure_level(run, parse_limits(["ttft:600"]), NO_SERVER)
        assert (result["requests"], result["answered"]) == (3, 2)
        assert result["errors"] == {"http_429": 1}
        assert result["error_examples"] == {"http_429": "slow down"}
        assert result["seconds"] == 2.0
        assert result["requests_per_second"] == 1.0
        assert result["output_tokens_per_second"] == 2.0
        assert result["goodput_per_second"] == 1.0
        assert result["tokens"] == {"input": 20, "output": 4, "cached": 0, "image": 4}
        assert result["media"]["megapixels"] == 1.5
        assert result["own_cpu_ms_per_request"] == pytest.approx(100.0)
        (size,) = result["by_size"]
        assert (size["label"], size["requests"], size["amount"]) == ("1000x500", 2, 0.75)

    def test_a_level_where_nothing_was_answered(self) -> None:
        run = LevelRun(Level(concurrency=1), records=[RequestRecord(0, 0.0, error="connect")])
        result = measure_level(run, {}, NO_SERVER)
        assert result["ttft_ms"] is None
        assert result["requests_per_second"] == 0.0
