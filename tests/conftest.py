"""How tests are divided between processes, where there are several (`pytest -n 2`)."""

from __future__ import annotations

from typing import Any

import pytest

# Its tests share a server with six models, which is started once and in one process.
ONE_UNIT = "tests/engine/"


def unit(test: str) -> str:
    """Which tests run in the same process, one after the other: those of a file share fixtures."""
    file = test.partition("::")[0]
    return ONE_UNIT if file.startswith(ONE_UNIT) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give out whole files in their order, which has those with long tests first."""
    from xdist.scheduler import LoadScopeScheduling

    config.option.loadscopereorder = False

    class ByUnit(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit(nodeid)

    return ByUnit(config, log)
