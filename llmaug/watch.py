"""The counts of a run, shown and written down while it goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from llmaug.engine import Engine
from llmaug.outcome import Tally
from llmaug.run import Run

TICK = 0.25  # seconds between two looks at the counts
REPORT = 2.0  # seconds between two writes of progress.json


async def watch(run: Run, engine: Engine, progress: Callable[[Tally, Run], None] | None) -> None:
    """Show the counts and write them down, until cancelled; a full disk ends the run."""
    reported = time.monotonic()
    while True:
        await asyncio.sleep(TICK)
        try:
            if progress:
                progress(engine.tally, run)
            if time.monotonic() - reported > REPORT:
                reported = time.monotonic()
                await asyncio.to_thread(run.sync)
                run.report(counts(run, engine.tally, "running"))
        except Exception as error:
            engine.fail(error)


def counts(run: Run, tally: Tally, state: str) -> dict[str, Any]:
    spent = tally.spent
    return {
        "state": state,
        "rows": run.done + run.failed,
        "done": run.done,
        "failed": run.failed,
        "this_run": {
            "done": tally.done,
            "failed": tally.failed,
            "texts": tally.texts,
            "drops": dict(tally.drops.most_common()),
            "asked": spent.asked,
            "cached": spent.cached,
            "merged": spent.merged,
            "retried": spent.retried,
            "prompt_tokens": spent.prompt_tokens,
            "completion_tokens": spent.completion_tokens,
            "events": dict(tally.events),
        },
    }
