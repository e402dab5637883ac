"""A run of a batch with a person before it: progress, Ctrl-C, and the last word."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from typing import Any, TextIO

from sensorium.serving.batch.display import Display, duration
from sensorium.serving.batch.errors import BatchStoppedError, OutputError
from sensorium.serving.batch.inputs import BatchInput
from sensorium.serving.batch.job import Job
from sensorium.serving.batch.media import MediaFiles
from sensorium.serving.batch.runner import BatchRunner, RunOptions
from sensorium.serving.batch.target import Target

__all__ = ["Session"]

_INTERRUPTED = 130


@dataclass
class Session:
    """Runs `found` into `job`; `stream` gets what a person is told."""

    job: Job
    found: BatchInput
    files: MediaFiles
    options: RunOptions
    stream: TextIO
    quiet: bool = False
    _signals: int = 0

    async def run(self, target: Target) -> int:
        """0 once every row is finished, 1 when something stopped it, 130 after Ctrl-C."""
        runner = BatchRunner(self.found.rows(), self.job.journal, target, self.files, self.options)
        self.job.begin_run({"inflight": self.options.inflight})
        if self.job.resumed:
            self._say(f"going on: {runner.tally.rows:,} of {self.found.total:,} rows are done")
        display = Display(self.stream, runner.tally, self.files, self.found.total)
        showing = None if self.quiet else asyncio.create_task(display.show())
        failure: BatchStoppedError | None = None
        complete = False
        try:
            with self._signals_to(runner):
                complete = await runner.run()
        except BatchStoppedError as error:
            failure = error
        finally:
            if showing is not None:
                showing.cancel()
                await asyncio.gather(showing, return_exceptions=True)
        failure = self._end(runner, complete, failure)
        return self._last_word(runner, display, complete, failure)

    @contextlib.contextmanager
    def _signals_to(self, runner: BatchRunner) -> Any:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, runner)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _on_signal(self, runner: BatchRunner) -> None:
        self._signals += 1
        if self._signals > 1:
            from sensorium.serving.server import kill_children

            # What is on the disk is whole at every moment; the rest is done again.
            self._say("second signal: stopping at once")
            kill_children()
            os._exit(_INTERRUPTED)
        running = runner.window.used
        self._say(f"stopping: {running} rows in flight may finish (again to stop at once)")
        runner.stop()

    def _end(
        self, runner: BatchRunner, complete: bool, failure: BatchStoppedError | None
    ) -> BatchStoppedError | None:
        tally = runner.tally
        more = {
            "rows": tally.rows - tally.before,
            "retries": tally.retries,
            "prompt_tokens": tally.prompt_tokens,
            "completion_tokens": tally.completion_tokens,
            "cached_tokens": tally.cached_tokens,
            "stopped_by": str(failure) if failure else None if complete else "signal",
        }
        try:
            self.job.end_run(tally, complete=complete, more=more)
        except OutputError as error:
            return failure or error
        return failure

    def _last_word(
        self,
        runner: BatchRunner,
        display: Display,
        complete: bool,
        failure: BatchStoppedError | None,
    ) -> int:
        tally, output = runner.tally, self.job.output
        if failure is None and complete:
            if not self.quiet:
                self._say(f"{display.line()}, in {duration(tally.seconds)}")
                self._say(f"answers: {output}")
            if tally.failed:
                self._say(f"{tally.failed:,} rows failed: {output}.errors.jsonl says why")
            return 0
        if failure is not None:
            self._say(f"stopped: {failure}")
        left = self.found.total - tally.rows
        self._say(
            f"{tally.rows:,} rows are safe in {output}, {left:,} are left; "
            "run the same command again to go on"
        )
        return 1 if failure is not None else _INTERRUPTED

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):
            print(f"sensorium batch: {text}", file=self.stream, flush=True)
