"""Engine options: our defaults give way to what the user sets."""

from __future__ import annotations

import pytest

from sensorium.serving.engine.arguments import default_options, option_names
from sensorium.serving.engine.environment import prepare_environment
from sensorium.serving.engine.log import find_cause, one_line


def test_names_of_options() -> None:
    tokens = ["--max_model_len", "3", "--a=b", "--limit-mm-per-prompt.image", "2", "word"]
    assert option_names(tokens) == {"max-model-len", "a", "limit-mm-per-prompt"}


class TestDefaults:
    def test_on_cpu(self) -> None:
        tokens = default_options(set(), cpu=True, memory_bytes=20 << 30)
        assert "--enforce-eager" in tokens
        assert tokens[tokens.index("--block-size") + 1] == "32"
        assert tokens[tokens.index("--kv-cache-memory-bytes") + 1] == str(2 << 30)

    def test_on_cuda_the_engine_decides(self) -> None:
        names = option_names(default_options(set(), cpu=False, memory_bytes=1))
        assert names == {
            "enable-per-request-metrics",
            "enable-prompt-tokens-details",
            "limit-mm-per-prompt",
            "mm-processor-cache-gb",
            "worker-extension-cls",
        }

    @pytest.mark.parametrize(
        ("given", "absent"),
        [
            ("limit-mm-per-prompt", "--limit-mm-per-prompt"),
            ("mm-processor-cache-gb", "--mm-processor-cache-gb"),
            ("worker-extension-cls", "--worker-extension-cls"),
            ("compilation-config", "--enforce-eager"),
            ("block-size", "--block-size"),
            ("gpu-memory-utilization", "--kv-cache-memory-bytes"),
        ],
    )
    def test_give_way(self, given: str, absent: str) -> None:
        assert absent not in default_options({given}, cpu=True, memory_bytes=1 << 30)


class TestEnvironment:
    def test_the_users_own_stands(self) -> None:
        environment = {"OMP_NUM_THREADS": "7"}
        prepare_environment(environment, cpu=True)
        assert environment["OMP_NUM_THREADS"] == "7"
        assert environment["VLLM_MEDIA_CONNECTOR"] == "sensorium"
        assert environment["VLLM_NO_USAGE_STATS"] == "1"
        assert int(environment["VLLM_V1_OUTPUT_PROC_CHUNK_SIZE"]) <= 8

    @pytest.mark.parametrize(("cpu", "eager"), [(True, True), (True, False), (False, True)])
    def test_dynamo_is_off_only_where_nothing_is_compiled(self, cpu: bool, eager: bool) -> None:
        environment: dict[str, str] = {}
        prepare_environment(environment, cpu=cpu, eager=eager)
        assert ("TORCHDYNAMO_DISABLE" in environment) == (cpu and eager)

    def test_threads_are_left_alone_on_cuda(self) -> None:
        environment: dict[str, str] = {}
        prepare_environment(environment, cpu=False, log_level="info")
        assert "OMP_NUM_THREADS" not in environment
        assert environment["VLLM_LOGGING_LEVEL"] == "INFO"


class TestCause:
    def test_last_exception_that_says_something(self) -> None:
        lines = [
            "(EngineCore pid=7) ERROR 11-21 11:41:24 [a.py:1] Traceback (most recent call last):",
            "(EngineCore pid=7) ERROR 11-21 11:41:24 [a.py:1] ValueError: no such layer: lm_head",
            "RuntimeError: Engine core initialization failed. See root cause above.",
        ]
        assert find_cause(lines) == "ValueError: no such layer: lm_head"

    def test_module_names_are_dropped(self) -> None:
        line = "torch.OutOfMemoryError: CUDA out of memory.\n"
        assert find_cause([line]) == "OutOfMemoryError: CUDA out of memory."

    def test_pydantic_reports_are_cut_to_what_they_say(self) -> None:
        report = (
            "1 validation error for ModelConfig\n  Value error, no such model [type=value_error]"
        )
        assert one_line(ValueError(report)) == "ValueError: no such model"

    def test_nothing_found(self) -> None:
        assert find_cause(["INFO all is well", "Loading: 100%"]) is None
