"""What comparing rankings with a baseline found, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass

FEW = 10  # queries
POWER = 0.8


@dataclass(frozen=True, slots=True)
class Row:
    """One ranking against the baseline by one measure.

    Means are over the paired queries. `low` and `high` are the interval of `difference` (mean
    less baseline mean), `effect` is Cohen's d for pairs, `better`, `worse` and `equal` count
    queries, and `detectable` is the smallest difference that so many queries with this spread
    would show (80 % power, after correction for all comparisons).
    """

    ranking: str
    measure: str
    queries: int
    mean: float
    baseline_mean: float
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    effect: float
    better: int
    worse: int
    equal: int
    detectable: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every ranking but the baseline by every measure; `str()` is a table for people.

    `p` is of the two-sided paired randomisation test; `p_holm` corrects it for all `rows`.
    """

    rows: tuple[Row, ...]
    baseline: str
    averaging: str
    level: float
    resamples: int
    seed: int

    @property
    def family(self) -> int:
        """How many tests were made, which the Holm correction counts."""
        return len(self.rows)

    @property
    def queries(self) -> int:
        """How many queries are paired, at the fewest."""
        return min(row.queries for row in self.rows)

    @property
    def notes(self) -> list[str]:
        """What one must know to read the numbers, a sentence each."""
        tests = "1 test" if self.family == 1 else f"all {self.family} tests"
        notes = [
            f"paired over {self._counted()}; p: two-sided randomisation test, Holm p: corrected "
            f"for {tests}; interval: bootstrap ({self.resamples:,} resamples, seed {self.seed})",
            *self._power(),
        ]
        if self.queries < FEW:
            notes.append(f"fewer than {FEW} queries can show nothing about others; judge more")
        return notes

    def _counted(self) -> str:
        """'300 judged queries', or a span where the pairs differ (averaging="beir")."""
        most = max(row.queries for row in self.rows)
        count = f"{most}" if most == self.queries else f"{self.queries} to {most}"
        if self.averaging == "beir":
            return f"{count} queries that both rankings answer"
        return f"{count} judged quer{'y' if most == 1 else 'ies'}"

    def _power(self) -> list[str]:
        tests = f"{self.family} tests"
        sizes: dict[str, list[float]] = {}
        for row in self.rows:
            if 0 < row.detectable < float("inf"):
                sizes.setdefault(row.measure, []).append(row.detectable)
        spans = []
        for measure, some in sizes.items():
            low, high = f"{min(some):.3f}", f"{max(some):.3f}"
            spans.append(f"{low if low == high else f'{low} to {high}'} ({measure})")
        if not spans:
            return []
        return [
            f"with {self.queries} queries and this spread, differences below {', '.join(spans)} "
            f"could not be shown ({100 * POWER:g} % power"
            + (f", corrected for {tests})" if self.family > 1 else ")")
        ]

    def cells(self, row: Row) -> dict[str, str]:
        """What a table shows of a row: the text under each heading."""
        return {
            "ranking": row.ranking,
            "measure": row.measure,
            "mean": f"{row.mean:.4f}",
            "difference": f"{row.difference:+.4f}",
            f"{100 * self.level:g} % interval": f"[{row.low:+.4f}, {row.high:+.4f}]",
            "p": _shown_p(row.p),
            "Holm p": _shown_p(row.p_holm),
            "better/worse/equal": f"{row.better}/{row.worse}/{row.equal}",
            "effect": f"{row.effect:+.2f}",
            "detectable": f"{row.detectable:.4f}" if row.detectable else "-",
        }

    def __str__(self) -> str:
        shown = [self.cells(row) for row in self.rows]
        lines = [list(shown[0]), *(list(cells.values()) for cells in shown)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = [
            "  ".join(
                cell.ljust(width) if place < 2 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        return "\n".join([f"against {self.baseline}:", *table, *self.notes])


def _shown_p(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else "<0.0001"
