"""What `llmaug evaluate` shows a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from llmaug.retrieval.comparison import Comparison
    from llmaug.retrieval.measure import Evaluation

GAP = 2
NARROWEST, ROOMY = 80, 100  # columns of a terminal
NO_TERMINAL = 1000  # columns: nothing is ever wrapped in a file or a pipe
HEADINGS = {"better/worse/equal": "better/\nworse/equal", "detectable": "smallest\nshowable"}


def show(evaluations: Mapping[str, Evaluation], comparison: Comparison | None) -> None:
    """Print rankings as rows and measures as columns, then what the tests found."""
    console = Console()
    width = max(console.width, NARROWEST) if console.is_terminal else NO_TERMINAL
    console = Console(width=width, highlight=False)
    for table in _score_tables(evaluations, width):
        console.print(table)
        console.print()
    for line in _counts(evaluations):
        console.print(Text(line))
    if comparison is None:
        return
    for measure in dict.fromkeys(row.measure for row in comparison.rows):
        console.print()
        console.print(Text(f"{measure} against {printable(comparison.baseline)}"))
        gap = GAP if width >= ROOMY else 1
        console.print(_comparison_table(comparison, measure, gap=gap))
    console.print()
    for note in comparison.notes:
        console.print(Text(note))


def printable(name: str) -> str:
    """The name without characters that could steer a terminal or cannot be printed."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def _score_tables(evaluations: Mapping[str, Evaluation], width: int) -> list[Table]:
    """One table, or several where so many measures do not fit beside each other."""
    measures = list(next(iter(evaluations.values())).mean)
    room = width - min(width // 3, max(len(printable(name)) for name in evaluations))
    column = GAP + max(6, *(len(measure) for measure in measures))
    fitting = max(1, room // column)
    return [
        _score_table(evaluations, measures[start : start + fitting])
        for start in range(0, len(measures), fitting)
    ]


def _score_table(evaluations: Mapping[str, Evaluation], measures: list[str]) -> Table:
    table = _table("ranking", *measures)
    means = [evaluation.mean for evaluation in evaluations.values()]
    for name, evaluation in evaluations.items():
        cells = []
        for measure in measures:
            shown = [round(mean[measure], 4) for mean in means]
            value = round(evaluation.mean[measure], 4)
            best = value == max(shown) and len(set(shown)) > 1
            cells.append(Text(f"{value:.4f}", style="bold" if best else ""))
        table.add_row(Text(printable(name)), *cells)
    return table


def _comparison_table(comparison: Comparison, measure: str, *, gap: int) -> Table:
    rows = [comparison.cells(row) for row in comparison.rows if row.measure == measure]
    columns = [column for column in rows[0] if column not in ("measure", "mean", "effect")]
    table = _table(*columns, gap=gap)
    for cells in rows:
        table.add_row(*(Text(printable(cells[column])) for column in columns))
    return table


def _table(first: str, *numbers: str, gap: int = GAP) -> Table:
    """A table whose first column folds where it must, so that no number is ever cut."""
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="dim")
    table.add_column(Text("\n" * any(h in HEADINGS for h in numbers) + first), overflow="fold")
    for heading in numbers:
        table.add_column(Text(HEADINGS.get(heading, heading)), justify="right", no_wrap=True)
    return table


def _counts(evaluations: Mapping[str, Evaluation]) -> list[str]:
    """How many queries each ranking was judged on; said once where it is the same for all."""
    same: dict[str, list[str]] = {}
    for name, evaluation in evaluations.items():
        missing = "left out" if evaluation.averaging == "beir" else "counted 0"
        line = ", ".join(
            (
                f"{evaluation.judged} judged queries",
                f"{evaluation.missing} not answered"
                + (f" ({missing})" if evaluation.missing else ""),
                f"{evaluation.unjudged} answered without judgements"
                + (" (left out)" if evaluation.unjudged else ""),
            )
        )
        same.setdefault(line, []).append(printable(name))
    if len(same) == 1:
        return list(same)
    return [f"{', '.join(names)}: {line}" for line, names in same.items()]
