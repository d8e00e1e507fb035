"""`--dry-run`: the first prompts, the number of requests and an estimate of tokens."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping

from rich.console import Console

from llmaug import plan as plans
from llmaug.engine import Engine
from llmaug.methods.method import Method
from llmaug.outcome import Outcome, Row
from llmaug.plan import Both, Step, Then, both, then
from llmaug.request import Backend, Reply, Request
from llmaug.text import BadRow, TextFile
from llmaug.vocabulary import clean, dedupe, keep, length

SHOWN = 2  # prompts shown in full
SAMPLED = 200  # rows from which the whole is estimated


class _Counting:
    """Stands in for a model: counts what it is asked and answers with the text itself."""

    window = 64

    def __init__(self, backend: Backend) -> None:
        self.name, self.parameters = backend.name, backend.parameters
        self.requests: list[Request] = []

    async def start(self) -> None:
        pass

    async def complete(self, request: Request) -> Reply:
        self.requests.append(request)
        return Reply(request.messages[-1].content)

    async def close(self) -> None:
        pass


def _unfiltered(step: Step) -> Step:
    """The plan without what drops texts: a dry run counts what would be sent at most."""
    if isinstance(step, Method):
        return _unfiltered(step.plan)
    if isinstance(step, Then | Both):
        inner = [_unfiltered(part) for part in step.steps]
        return then(*inner) if isinstance(step, Then) else both(*inner)
    filters = isinstance(step, (clean, dedupe, length))
    return keep() if filters or step.uses & {"embedder", "classifier", "index"} else step


def show_requests(
    step: Step, source: TextFile, *, seed: int, limit: int | None, models: Mapping[str, Backend]
) -> None:
    """Print what a run would send, without sending it."""
    plans.check(step, source.fields())
    rows = list(itertools.islice(source.rows(), min(limit or SAMPLED, SAMPLED)))
    counting = {role: _Counting(model) for role, model in models.items()}
    engine = Engine(_unfiltered(step), backends=counting, seed=seed)
    outcomes: list[Outcome] = []
    asyncio.run(engine.run((Row(i, row) for i, row in enumerate(rows)), outcomes.append))
    requests = [request for model in counting.values() for request in model.requests]
    console = Console()
    for number, request in enumerate(requests[:SHOWN]):
        console.rule(f"request {number + 1}")
        for message in request.messages:
            console.print(f"[bold]{message.role}:[/bold]", highlight=False)
            console.print(message.content, markup=False, highlight=False)
    console.rule()
    total = source.row_estimate()
    if limit is not None and total is not None:
        total = min(limit, total)
    scale = (total or len(rows)) / max(1, len(rows))
    characters = sum(len(m.content) for r in requests for m in r.messages)
    most = sum(r.sampling.max_tokens for r in requests)
    bad = sum(isinstance(row, BadRow) for row in rows)
    about = "" if scale == 1 else "about "
    print(f"plan: {step}")
    print(
        f"rows: {about}{round(len(rows) * scale):,}"
        + (f", {bad} of the first {len(rows)} cannot be read" if bad else "")
    )
    print(f"requests: {about}{round(len(requests) * scale):,}, equal ones merged")
    print(
        f"tokens: about {round(characters / 4 * scale):,} in, at most {round(most * scale):,} out"
    )
    for role, model in models.items():
        print(f"{role}: {model.name} {dict(model.parameters) or ''}".rstrip())
    print("nothing was sent")
