"""`llmaug evaluate`: how good rankings are, and whether one is really better than another."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmaug.cli.evaluation_tables import printable, show
from llmaug.errors import LlmaugError, OutputError, PlanError, TextError, did_you_mean

if TYPE_CHECKING:
    from llmaug.retrieval.comparison import Comparison
    from llmaug.retrieval.measure import Evaluation

MEASURES = ("nDCG@10", "R@100", "MRR@10", "MAP")
PER_QUERY = ("ranking", "measure", "query", "value")
RUN_ENDING = r"(?<=[^/])\.(trec|run|txt)(\.gz)?$"
Option = typer.Option


def evaluate(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="files of rankings in TREC run format")
    ],
    qrels: Annotated[
        str,
        Option(help="judgements: TREC or BEIR file, BEIR folder (see --split), irds:NAME, hf:NAME"),
    ],
    measure: Annotated[
        list[str] | None,
        Option("--measure", "-m", help=f"more may follow it; default: {' '.join(MEASURES)}"),
    ] = None,
    baseline: Annotated[
        str | None, Option(help="the run that the others are tested against, by path or name")
    ] = None,
    per_query: Annotated[
        Path | None, Option(help="also write every query's values; .tsv, .csv, .jsonl, .parquet")
    ] = None,
    split: Annotated[
        str | None, Option(help="which judgements of a BEIR folder [default: test]")
    ] = None,
    averaging: Annotated[
        str,
        Option("--as", help="judged: a query without an answer counts 0; beir: it is left out"),
    ] = "judged",
    as_json: Annotated[bool, Option("--json", help="print JSON for programs, no tables")] = False,
    seed: Annotated[int, Option(min=0, help="decides every random choice")] = 0,
    resamples: Annotated[int, Option(min=100, help="of the randomisation test and bootstrap")] = (
        10_000
    ),
) -> None:
    """Score rankings as trec_eval does, side by side, and test them against a baseline.

    A word after the runs that is no file and reads as a measure is a measure, so that several
    can follow -m. With --baseline, a paired randomisation test over the queries says whether a
    difference is more than luck, and how small a difference could have been shown at all.

    Example: `llmaug evaluate bm25.trec dense.trec --qrels test.tsv -m nDCG@10 R@100
    --baseline bm25.trec`
    """
    from llmaug.retrieval import measure as retrieval_measure
    from llmaug.retrieval.collection import named_qrels
    from llmaug.retrieval.compare import compare_evaluations

    if averaging not in retrieval_measure.AVERAGING:
        known = did_you_mean(averaging, retrieval_measure.AVERAGING)
        raise PlanError(f"--as {averaging}: no such averaging; {known}")
    paths, measures = told_apart(runs, measure or [])
    if per_query is not None:
        from llmaug.formats.endings import check_output

        check_output(per_query)
    against = find_baseline(baseline, paths) if baseline is not None else None
    if against is not None and against not in paths:
        paths.insert(0, against)
    if per_query is not None:
        file = f"{split or 'test'}.tsv"
        folders = [Path(qrels), Path(qrels, "qrels")]
        _check_kept(per_query, [*paths, qrels, *(Path(folder, file) for folder in folders)])
    names = dict(zip(paths, short_names(paths), strict=True))
    judgements = named_qrels(qrels, split=split)
    evaluations = {
        names[path]: retrieval_measure.evaluate(path, judgements, measures, averaging=averaging)
        for path in paths
    }
    comparison = None
    if against is not None:
        comparison = compare_evaluations(
            evaluations, baseline=names[against], seed=seed, resamples=resamples
        )
    if per_query is not None:
        from llmaug.formats.endings import write_rows

        lines = write_rows(per_query, _query_values(evaluations), fields=PER_QUERY)
        print(f"{lines:,} values of single queries in {per_query}", file=sys.stderr)
    if as_json:
        _print_json(evaluations, comparison, paths={names[path]: path for path in paths})
    else:
        show(evaluations, comparison)


def told_apart(words: Sequence[str], given: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The runs, and the measures, among the words after the command and those after -m.

    A word that names a file is a run, whatever else it could mean.
    """
    paths, measures = [], [part for text in given for part in _separated(text)]
    for measure in measures:
        _check_measure(measure)
    for word in words:
        if Path(word).is_dir():
            raise TextError(f"{word} is a folder; give the files of rankings in it")
        if Path(word).exists():
            paths.append(Path(word))
            continue
        try:
            for measure in (parts := _separated(word)):
                _check_measure(measure)
        except PlanError as error:
            why = f"and no measure: {error}" if "@" in word else "and it is no measure"
            raise TextError(f"there is no file {word}, {why}") from None
        measures += parts
    if not paths:
        raise TextError("no run is named; give the files of rankings: llmaug evaluate RUN...")
    distinct = {os.path.abspath(path): path for path in reversed(paths)}
    return list(distinct.values())[::-1], list(dict.fromkeys(measures)) or list(MEASURES)


def find_baseline(given: str, paths: Sequence[Path]) -> Path:
    """The run that --baseline means: by its path, or a name that only one of the runs has."""
    for path in paths:
        if os.path.abspath(path) == os.path.abspath(given):
            return path
    if Path(given).is_file():
        return Path(given)
    names = short_names(paths)
    found = [
        path
        for path, name in zip(paths, names, strict=True)
        if given in (name, path.name, path.stem)
    ]
    if len(found) > 1:
        several = " and ".join(map(str, found))
        raise LlmaugError(f"--baseline {given} could be {several}; give the path")
    if not found:
        raise LlmaugError(
            f"--baseline {given}: no file and none of the runs; {did_you_mean(given, names)}"
        )
    return found[0]


def short_names(paths: Sequence[Path]) -> list[str]:
    """For each path, the fewest parts from its end that no other path ends in.

    Without the ending that says what such files hold, where that leaves the names distinct.
    """
    parts = [Path(os.path.abspath(path)).parts for path in paths]
    names = []
    for place, own in enumerate(parts):
        others = parts[:place] + parts[place + 1 :]
        count = 1
        while count < len(own) and any(own[-count:] == other[-count:] for other in others):
            count += 1
        names.append(str(Path(*own[-count:])))
    bare = [re.sub(RUN_ENDING, "", name) for name in names]
    return bare if len(set(bare)) == len(bare) else names


def _separated(text: str) -> list[str]:
    """Measures between spaces or commas, where those are not inside brackets."""
    return [part for part in re.split(r"[\s,]+(?![^(]*\))", text) if part]


def _check_measure(text: str) -> None:
    from llmaug.retrieval.measure_names import parse_measure

    parse_measure(text)


def _check_kept(output: Path, read: Sequence[str | Path]) -> None:
    """Raise `OutputError` where the output would replace what is read."""
    for path in read:
        if os.path.realpath(output) == os.path.realpath(path):
            raise OutputError(f"--per-query {output} would replace what is read; name another file")


def _query_values(evaluations: Mapping[str, Evaluation]) -> Iterator[dict[str, Any]]:
    for name, evaluation in evaluations.items():
        for measure, values in evaluation.per_query.items():
            for query, value in values.items():
                row = (printable(name), measure, query, value)
                yield dict(zip(PER_QUERY, row, strict=True))


def _print_json(
    evaluations: Mapping[str, Evaluation],
    comparison: Comparison | None,
    *,
    paths: Mapping[str, Path],
) -> None:
    import dataclasses

    import orjson

    shown: dict[str, Any] = {
        "rankings": [
            {
                "ranking": printable(name),
                "path": printable(str(paths[name])),
                "averaging": evaluation.averaging,
                "judged": evaluation.judged,
                "missing": evaluation.missing,
                "unjudged": evaluation.unjudged,
                "mean": evaluation.mean,
            }
            for name, evaluation in evaluations.items()
        ],
    }
    if comparison is not None:
        rows = [dataclasses.asdict(row) for row in comparison.rows]
        for row in rows:
            row["ranking"] = printable(row["ranking"])
        shown["comparison"] = {
            "baseline": printable(comparison.baseline),
            "level": comparison.level,
            "resamples": comparison.resamples,
            "seed": comparison.seed,
            "family": comparison.family,
            "rows": rows,
            "notes": comparison.notes,
        }
    print(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())
