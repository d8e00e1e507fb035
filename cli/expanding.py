"""The queries of a search on their way to be expanded: which, how, and what came of it."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from llmaug.backends.counted import Counted
from llmaug.errors import TextError, did_you_mean

if TYPE_CHECKING:
    from llmaug.cli.stages import Stages
    from llmaug.outcome import Failure
    from llmaug.plan import Step
    from llmaug.retrieval.combination import Combination
    from llmaug.retrieval.expansions import Expansions
    from llmaug.retrieval.fuse import Fusion
    from llmaug.retrieval.gate import Gate
    from llmaug.retrieval.index import Index
    from llmaug.retrieval.rankings import Rankings

DEPTH = 1000  # documents of a ranking that a gate learns from
MOST_IDS = 5  # named where none of the ids is like the one given


@dataclass
class Expanding:
    """How the queries of one search are expanded; afterwards, what came of it."""

    plan: Step | None
    written: Expansions | None  # read from a file
    models: Mapping[str, Counted]
    combine: Combination | None
    gate: Gate | None
    cache: Path | None
    seed: int
    window: int | None
    save: Path | None
    explain: str | None
    file: Path | None  # that of `written`
    said: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)

    def search(
        self,
        index: Index,
        asked: dict[str, str],
        *,
        shown: Stages,
        mode: str,
        progress: Callable[[int, int], None] = lambda done, total: None,
        **how: Any,
    ) -> Rankings:
        """The rankings of queries {id: text}, those expanded that the gate chooses.

        `shown` shows the calls of the language model, `progress` is told of queries searched;
        `how` is k, fusion, depth, batch and threads of `llmaug.search`.
        """
        from llmaug.retrieval.combine import default_combination
        from llmaug.retrieval.expand import search_expanded

        self._check(mode, how.get("fusion"))
        choice = self._before(index, asked)
        wanted = {id: text for id, text in asked.items() if choice[id]}
        written = self._expansions(index, wanted, shown)
        if self.gate is not None and self.gate.after:
            choice = self._after(index, asked, written, mode=mode, **how)
        found = search_expanded(
            index,
            asked,
            written,
            combine=self.combine,
            gate=choice,
            mode=mode,
            progress=progress,
            **how,
        )
        used = self.combine or default_combination(mode, fusion=how.get("fusion"))
        self.said.append(f"{found.counts()}; used by {used}")
        return found.rankings

    def explained(
        self, index: Index, asked: dict[str, str], *, shown: Stages, mode: str, **how: Any
    ) -> str:
        """What the expansion of the one query does to its ranking; `how` is k, fusion, depth."""
        from llmaug.retrieval.explain import explain

        self._check(mode, how.get("fusion"))
        id = str(self.explain)
        if id not in asked:
            close = difflib.get_close_matches(id, asked, n=3) or list(asked)[:MOST_IDS]
            raise TextError(f"--explain {id}: there is no such query; {did_you_mean(id, close)}")
        one = {id: asked[id]}
        choice = self._before(index, one)
        written = self._expansions(index, one, shown) if choice[id] else {}
        if self.gate is not None and self.gate.after:
            choice = self._after(index, one, written, mode=mode, **how)
        shows = explain(
            index,
            one[id],
            written.get(id, []) if choice[id] else [],
            id=id,
            combine=self.combine,
            mode=mode,
            **how,
        )
        if self.gate is not None:
            verb = "expands" if choice[id] else "does not expand"
            self.said.append(f"the gate {self.gate} {verb} this query")
        return str(shows)

    def close(self) -> None:
        """Print the counts on stderr; exit status 1 where the model failed for some queries."""
        if self.models:
            calls = sum(model.calls for model in self.models.values())
            self.said.append(f"{calls:,} calls of the language model")
        if self.failed:
            first = self.failed[0]
            self.said.append(
                f"failed for {len(self.failed):,} queries, searched as they are; the first: "
                f"{first.root}: {first.message}"
            )
        for line in self.said:
            print(line, file=sys.stderr)
        if self.failed:
            raise typer.Exit(1)

    def _check(self, mode: str, fusion: Fusion | None) -> None:
        from llmaug.retrieval.gate_purpose import purpose

        if self.combine is not None:
            self.combine.check(mode)
        if self.gate is not None and self.gate.purpose is not None:
            searched = purpose(mode, self.combine, fusion=fusion)
            self.gate.purpose.check(searched, gate=f"the gate {self.gate}")

    def _before(self, index: Index, asked: Mapping[str, str]) -> dict[str, bool]:
        """Which queries to write expansions for: all, where the gate has to see these first."""
        if self.gate is None or self.gate.after:
            return dict.fromkeys(asked, True)
        return self._decided(self._features(index, asked))

    def _after(
        self,
        index: Index,
        asked: Mapping[str, str],
        written: Expansions,
        *,
        mode: str,
        **how: Any,
    ) -> dict[str, bool]:
        from llmaug.retrieval.expand import search_expanded
        from llmaug.retrieval.predictors import after_expansion, joined

        how["k"] = DEPTH  # as in gate fit, whatever is asked for: features must mean the same
        plain = index.search(asked, mode=mode, **how)
        found = search_expanded(index, asked, written, combine=self.combine, mode=mode, **how)
        seen = after_expansion(plain, found.rankings, written)
        return self._decided(joined(self._features(index, asked), seen))

    def _features(self, index: Index, asked: Mapping[str, str]) -> dict[str, dict[str, float]]:
        from llmaug.retrieval.predictors import FEATURES, predictors

        assert self.gate is not None
        if any("expansion" not in FEATURES[name].needs for name in self.gate.needs):
            return predictors(index, asked)
        return {id: {} for id in asked}

    def _decided(self, features: Mapping[str, Mapping[str, float]]) -> dict[str, bool]:
        assert self.gate is not None
        choice = self.gate.chosen(features)
        beyond = self.gate.unseen(features)
        if beyond:
            names = sorted({name for of in beyond.values() for name in of})
            self.said.append(
                f"note: {len(beyond):,} queries are unlike those that the gate was fitted on "
                f"({', '.join(names)}), so they are not expanded"
            )
        return choice

    def _compares(self) -> bool:
        """Whether the plan compares texts, so that the index's embedder is wanted for it."""
        from llmaug.plan import walk

        assert self.plan is not None
        return any("embedder" in step.uses for step in walk(self.plan))

    def _expansions(self, index: Index, wanted: dict[str, str], shown: Stages) -> Expansions:
        from llmaug.retrieval.expansions import expand, write_expansions

        if self.written is not None:
            absent = sum(id not in self.written for id in wanted)
            if absent:
                self.said.append(f"note: {absent:,} of the queries are not in {self.file}")
            return self.written
        assert self.plan is not None
        for model in self.models.values():
            model.told = lambda calls: shown.update("calls of the language model", calls, None)
        try:
            found = expand(
                wanted,
                self.plan,
                **self.models,
                cache=self.cache,
                seed=self.seed,
                window=self.window,
                embedder=index.embedder if self._compares() else None,
                index=index,
                failed=self.failed,
            )
        except KeyboardInterrupt:
            kept = (
                f"; replies are kept in {self.cache}: run it again to go on" if self.cache else ""
            )
            print(f"interrupted{kept}", file=sys.stderr)
            raise typer.Exit(130) from None
        if self.save is not None:
            write_expansions(self.save, found, queries=wanted)
            self.said.append(f"written: {self.save}")
        return found
