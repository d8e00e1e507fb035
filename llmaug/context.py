"""What a step may ask for while it works on one root."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from llmaug.calls import Calls
from llmaug.errors import PlanError
from llmaug.gather import Gather
from llmaug.outcome import Drop, Tally
from llmaug.plan import Step, all_of, walk
from llmaug.request import Reply, Request
from llmaug.text import Text

if TYPE_CHECKING:
    import numpy as np

OPTIONS = {"embedder": "--embedder", "classifier": "--classifier", "index": "--index"}


class Models:
    """The models of a run: language models by role, and those that work on batches of texts."""

    def __init__(
        self,
        calls: Mapping[str, Calls],
        *,
        embed: Callable[[list[str]], np.ndarray] | None,
        classify: Callable[[list[str]], np.ndarray] | None,
        search: Callable[[list[str], int], list[list[Text]]] | None,
    ) -> None:
        self.calls = calls
        self.embed = Gather(embed) if embed else None
        self.classify = Gather(classify) if classify else None
        self.search = search
        self._searches: dict[int, Gather] = {}

    def check(self, plan: Step) -> None:
        """Raise `PlanError` when a step needs something that was not given."""
        given = {*self.calls}
        given |= {"embedder"} if self.embed else set()
        given |= {"classifier"} if self.classify else set()
        given |= {"index"} if self.search else set()
        for step in walk(plan):
            for need in sorted(step.uses - given):
                if need in OPTIONS:
                    article = "a" if need == "classifier" else "an"
                    raise PlanError(f"{step} needs {article} {need}; give one with {OPTIONS[need]}")
                raise PlanError(
                    f"{step} needs a language model for the role {need!r}; give one with --{need}"
                )

    def searching(self, k: int) -> Gather:
        """Searches for the k nearest, gathered from many roots."""
        search = self.search
        assert search is not None
        if k not in self._searches:
            self._searches[k] = Gather(lambda queries: search(queries, k))
        return self._searches[k]

    def close(self) -> None:
        for gather in (self.embed, self.classify, *self._searches.values()):
            if gather:
                gather.close()


class RootContext:
    """What the engine offers the steps that work on one root."""

    __slots__ = ("attempt", "drops", "models", "requested", "root", "seed", "tally")

    def __init__(
        self, models: Models, tally: Tally, root: Text, *, seed: int, attempt: int
    ) -> None:
        self.models, self.tally = models, tally
        self.root, self.seed, self.attempt = root, seed, attempt
        self.drops: list[Drop] = []
        self.requested = 0

    async def complete(self, requests: Sequence[Request], role: str = "lm") -> list[Reply]:
        calls = self.models.calls.get(role)
        if calls is None:
            raise PlanError(f"the plan asks the model {role!r}, and none was given")
        self.requested += len(requests)
        if len(requests) == 1:
            return [await calls.complete(requests[0])]
        return await all_of([calls.complete(request) for request in requests])

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        import numpy as np

        if self.models.embed is None:
            raise PlanError("the plan compares texts by embedding; name an embedder (--embedder)")
        return np.asarray(await self.models.embed(texts))

    async def classify(self, texts: Sequence[str]) -> np.ndarray:
        import numpy as np

        if self.models.classify is None:
            raise PlanError("the plan asks a classifier; name one (--classifier)")
        return np.asarray(await self.models.classify(texts))

    async def search(self, queries: Sequence[str], k: int) -> list[list[Text]]:
        if self.models.search is None:
            raise PlanError("the plan searches an index; name one (--index)")
        return await self.models.searching(k)(queries)

    def drop(self, text: Text, reason: str) -> None:
        self.drops.append(Drop(text, reason))

    def count(self, event: str) -> None:
        self.tally.events[event] += 1
