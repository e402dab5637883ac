"""Slow work in a thread of its own."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sensorium.serving.engine.threads import in_daemon_thread


async def test_result() -> None:
    assert await in_daemon_thread(lambda: threading.current_thread().name, "mine") == "mine"


async def test_any_error_reaches_the_one_who_waits() -> None:
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        await in_daemon_thread(leave, "leaves")


async def test_cancelled_waiting_does_not_disturb_the_loop() -> None:
    gate = threading.Event()
    waiting = asyncio.create_task(in_daemon_thread(gate.wait, "slow"))
    await asyncio.sleep(0)
    waiting.cancel()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await in_daemon_thread(lambda: None, "after")
