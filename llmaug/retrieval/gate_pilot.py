"""One decision for a whole collection, from a trial on its training queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

from llmaug.errors import RetrievalError
from llmaug.retrieval.gate import PerCollection, collection
from llmaug.retrieval.gate_file import write_pilot
from llmaug.retrieval.gate_purpose import Purpose
from llmaug.significance import bootstrap_interval

FEWEST = 30  # training queries


@dataclass(frozen=True)
class Pilot:
    """What expanding every training query brought; `low` and `high` are its 95 % interval."""

    queries: int
    plain: float
    expanded: float
    low: float
    high: float
    purpose: Purpose | None = None

    @property
    def expand(self) -> bool:
        """Whether the collection's queries are expanded: only where that was better on average."""
        return self.expanded > self.plain

    def save(self, path: str | Path) -> PerCollection:
        """Write the decision as JSON and give the gate as it would be read."""
        trained = {name: value for name, value in asdict(self).items() if name != "purpose"}
        write_pilot(path, expand=self.expand, trained=trained, purpose=self.purpose)
        return collection(path)

    def __str__(self) -> str:
        sure = (
            "" if self.low > 0 or self.high < 0 else "; the interval holds 0, so this may be luck"
        )
        return (
            f"{'expand' if self.expand else 'do not expand'} the collection's queries: "
            f"{self.plain:.4f} plain, {self.expanded:.4f} expanded over {self.queries:,} training "
            f"queries, difference {self.expanded - self.plain:+.4f} "
            f"[{self.low:+.4f}, {self.high:+.4f}]{sure}"
        )


def pilot(
    plain: Mapping[str, float],
    expanded: Mapping[str, float],
    *,
    purpose: Purpose | None = None,
) -> Pilot:
    """Try the expansion on training queries, {id: measure} without and with it.

    M-Solomon's split of data sets (Kim et al. 2025, arXiv 2511.02358): a collection is expanded
    only where always expanding beats never expanding. Departures: decided on training queries,
    where the paper reportedly looks at test sets, and without training an embedder for either.
    `purpose` is the search that was measured: the gate is then refused in others. Raises
    `RetrievalError` for fewer than 30 queries.
    """
    for id in sorted(plain.keys() ^ expanded.keys()):
        raise RetrievalError(f"query {id!r} was measured only once; measure the same queries")
    if len(plain) < FEWEST:
        raise RetrievalError(
            f"a pilot takes at least {FEWEST} labelled training queries, not {len(plain)}; "
            "label more, or take always() or never()"
        )
    low, high = bootstrap_interval([expanded[id] - plain[id] for id in plain])
    return Pilot(len(plain), mean(plain.values()), mean(expanded.values()), low, high, purpose)
