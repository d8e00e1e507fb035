"""Relevance judgements: TREC's four columns and BEIR's TSV."""

from __future__ import annotations

import csv
import io
import math
import numbers
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from llmaug.errors import OutputError, TextError, did_you_mean
from llmaug.formats.atomic import new_file
from llmaug.formats.endings import ending, packed
from llmaug.formats.fields import short
from llmaug.formats.lines import invalid_utf8, numbered
from llmaug.formats.source import Fault
from llmaug.retrieval.rankings import check_ids

Qrels = dict[str, dict[str, int]]  # query id -> {document id: grade}

HEADER = ("query-id", "corpus-id", "score")
SPLIT = "test"  # of a BEIR folder, unless another is named
LARGEST_GRADE = 1_000_000  # trec_eval counts the documents of every grade up to the largest


def read_qrels(path: str | Path, *, split: str = SPLIT) -> Qrels:
    """The judgements of a TREC qrels file or a BEIR TSV (plain, .gz or .zst), in its order.

    TREC: query id, iteration, document id and grade between white space; the iteration is not
    read. BEIR: a header, then query id, document id and grade between tabs; of a BEIR folder the
    file `qrels/SPLIT.tsv` is read. A judgement may come twice with the same grade. Raises
    `TextError`, with the line, for another number of columns, a grade that is not a whole number,
    two grades for one document or invalid UTF-8, and for a file without judgements.
    """
    path = _file(Path(path), split)
    qrels: Qrels = {}
    columns: Callable[[str], list[str]] | None = None
    beir, first = False, True
    for number, line in numbered(path):
        try:
            text = _text(line)
            if not text.strip():
                continue
            if first:
                first = False
                columns = _beir_columns(text)
                beir = columns is not None
                if beir:
                    continue
            _add(columns(text) if columns else text.split(), qrels, beir=beir)
        except _Wrong as wrong:
            raise TextError(f"{path}:{number}: {wrong}") from None
    if not qrels:
        raise TextError(f"{path} holds no judgements; give a TREC qrels file or a BEIR TSV")
    return qrels


def _file(path: Path, split: str) -> Path:
    """The file itself, or that of one split of a BEIR folder."""
    if not path.is_dir():
        return path
    folder = path / "qrels" if (path / "qrels").is_dir() else path
    splits = {file.name.partition(".tsv")[0]: file for file in sorted(folder.glob("*.tsv*"))}
    if not splits:
        raise TextError(f"the folder {path} has no qrels/{split}.tsv; name a file of judgements")
    if split not in splits:
        raise TextError(f"{folder} has no split {split!r}; {did_you_mean(split, splits)}")
    return splits[split]


def write_qrels(path: str | Path, qrels: Mapping[str, Mapping[str, int]]) -> int:
    """Write judgements, whole or not at all, and return how many: BEIR's TSV for .tsv, else TREC.

    A query without judgements leaves no line. Raises `OutputError` for ids that a line cannot
    hold and for grades that are not whole numbers.
    """
    path = Path(path)
    beir = ending(path) == ".tsv"
    check_ids(tuple(qrels), what="query id", path=path)
    rows: list[tuple[object, ...]] = [HEADER] if beir else []
    count = 0
    for query, judgements in qrels.items():
        check_ids(tuple(judgements), what="document id", path=path)
        for id, given in judgements.items():
            grade = whole(given)
            if grade is None:
                raise OutputError(
                    f"{path} cannot hold the grade {short(repr(given))} of document {short(id)!r} "
                    f"for query {short(query)!r}; make it a whole number"
                )
            rows.append((query, id, grade) if beir else (query, 0, id, grade))
            count += 1
    lines = io.StringIO(newline="")
    if beir:
        csv.writer(lines, delimiter="\t", lineterminator="\n").writerows(rows)
    else:
        lines.writelines(" ".join(map(str, row)) + "\n" for row in rows)
    with new_file(path) as unfinished, packed(unfinished, path.suffix.lower()) as file:
        file.write(lines.getvalue().encode())
    return count


def whole(grade: object) -> int | None:
    """A grade as a Python int, whatever kind of whole number it is; None where it is none."""
    try:
        number = float(grade) if isinstance(grade, numbers.Real) else math.nan
    except OverflowError:
        return None
    return int(number) if number.is_integer() and abs(number) <= LARGEST_GRADE else None


class _Wrong(Exception):
    """What is wrong with a line."""


def _text(line: bytes | Fault) -> str:
    if isinstance(line, Fault):
        raise _Wrong(line.detail)
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise _Wrong(f"{invalid_utf8(error).detail}; write the file as UTF-8") from None
    if "\0" in text:
        raise _Wrong("the line holds a NUL byte, which no id can hold; make the file again")
    return text.rstrip("\r\n")


def _beir_columns(first: str) -> Callable[[str], list[str]] | None:
    """How to part the lines below a BEIR header; None where the first line is no such header."""
    parted = _tab_columns if "\t" in first else str.split
    names = [name.strip().lower().replace("_", "-") for name in parted(first)]
    if names != list(HEADER):
        return None
    return parted


def _tab_columns(line: str) -> list[str]:
    """The columns as BEIR's own reader parts them, quotes and all."""
    try:
        return next(csv.reader([line], delimiter="\t", strict=True))
    except csv.Error as error:
        raise _Wrong(f"the line is not tab-separated as it should be: {error}") from None


def _add(columns: list[str], qrels: Qrels, *, beir: bool) -> None:
    """Add the judgement of one line."""
    wanted = HEADER if beir else ("query id", "iteration", "document id", "grade")
    if len(columns) != len(wanted):
        hint = ""
        if len(columns) == 6:
            hint = "; it looks like rankings (a TREC run file)"
        elif len(columns) == 3:
            hint = f"; a BEIR file needs its header: {'<TAB>'.join(HEADER)}"
        raise _Wrong(
            f"the line has {len(columns)} columns, not {len(wanted)} ({', '.join(wanted)}){hint}"
        )
    query, id, text = columns[0], columns[-2], columns[-1].strip()
    if not query or not id:
        raise _Wrong("the id is empty; give it one")
    grade = int(float(text)) if re.fullmatch(r"[+-]?[0-9]{1,9}(\.0+)?", text) else None
    if grade is None or abs(grade) > LARGEST_GRADE:
        raise _Wrong(
            f"the grade {short(text)!r} is not a whole number up to {LARGEST_GRADE:,}; make it one"
        )
    earlier = qrels.setdefault(query, {}).setdefault(id, grade)
    if earlier != grade:
        raise _Wrong(
            f"document {short(id)!r} has the grade {earlier} for query {short(query)!r} already "
            f"and here {grade}; leave one of them"
        )
