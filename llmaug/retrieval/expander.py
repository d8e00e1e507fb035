"""One query as several, for pipelines that take `query -> list of queries`."""

from __future__ import annotations

from pathlib import Path

from llmaug import plan as plans
from llmaug.backends import backend as backend_named
from llmaug.errors import TextError
from llmaug.plan import Step
from llmaug.request import Backend, Embedder, Retriever
from llmaug.retrieval.expansions import expand
from llmaug.vocabulary import parse


class Expander:
    """Called with a query, gives it and what a plan wrote for it: a list of at least one text.

    What LangChain's `RunnableLambda` and hand-made multi-query retrievers take. The query comes
    first; a variant that is empty or repeats it is left out. The model stays loaded between
    calls. Raises `RowsFailed` where the model fails, and `TextError` for an empty query.
    """

    def __init__(
        self,
        plan: str | Step,
        *,
        lm: str | Backend | None = None,
        judge: str | Backend | None = None,
        cache: str | Path | None = None,
        seed: int = 0,
        embedder: Embedder | None = None,
        index: Retriever | None = None,
    ) -> None:
        self.plan = parse(plan)
        plans.check(self.plan)
        self.lm = backend_named(lm) if isinstance(lm, str) else lm
        self.judge = backend_named(judge) if isinstance(judge, str) else judge
        self.cache, self.seed, self.embedder, self.index = cache, seed, embedder, index

    def __call__(self, query: str) -> list[str]:
        if not isinstance(query, str) or not query.strip():
            raise TextError(f"a query is a text with at least one character, not {query!r}")
        written = self.batch([query])
        return written[0]

    def batch(self, queries: list[str]) -> list[list[str]]:
        """The same for several queries at once."""
        found = expand(
            {str(number): query for number, query in enumerate(queries)},
            self.plan,
            lm=self.lm,
            judge=self.judge,
            cache=self.cache,
            seed=self.seed,
            embedder=self.embedder,
            index=self.index,
        )
        return [
            [query, *dict.fromkeys(texts)]
            for query, texts in zip(queries, found.values(), strict=True)
        ]

    def __repr__(self) -> str:
        return f"expander({str(self.plan)!r}{f', lm={self.lm.name!r}' if self.lm else ''})"


expander = Expander
