"""Rankings in the TREC run format."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from llmaug.errors import OutputError, TextError
from llmaug.formats.atomic import new_file
from llmaug.formats.endings import packed
from llmaug.formats.fields import short
from llmaug.formats.lines import BOM, LONGEST, invalid_utf8, numbered, reading
from llmaug.formats.source import Fault
from llmaug.retrieval.trec_order import in_order, numbers_in
from llmaug.retrieval.trec_order import ranked as ranked

Rankings = dict[str, dict[str, float]]  # query id -> {document id: score}, best first

COLUMNS = ("query id", "Q0", "document id", "rank", "score", "tag")
BLOCK = 2**15  # bytes taken apart at once: few enough to stay in the processor's cache


def read_rankings(path: str | Path) -> Rankings:
    """The rankings of a TREC run file (plain, .gz or .zst), best first as `ranked` orders them.

    The lines of a query may be anywhere in the file. The rank column is not read: trec_eval
    orders by score alone. Raises `TextError`, with the line, for a line that has not six columns,
    a score that is not a finite number, a document twice in one ranking or invalid UTF-8, and for
    a file without rankings.
    """
    path = Path(path)
    rankings: Rankings = {}
    with reading(path) as file:
        for block in _blocks(file):
            if not _take(block, rankings):
                raise TextError(_first_fault(path))
    if not rankings:
        raise TextError(f"{path} holds no rankings; its lines should be: {', '.join(COLUMNS)}")
    for query, scores in rankings.items():
        if not in_order(scores):
            rankings[query] = {id: scores[id] for id in ranked(scores)}
    return rankings


def write_rankings(path: str | Path, rankings: Rankings, *, tag: str = "llmaug") -> int:
    """Write a TREC run file, whole or not at all, and return its number of lines.

    Every score is written with the digits that give back the same number, and ranks count from 1
    in the order of `ranked`. A query without documents leaves no line. Raises `OutputError` for
    what the format cannot hold: ids with white space in them, scores that are not finite.
    """
    path = Path(path)
    check_ids((tag,), what="tag", path=path)
    check_ids(rankings, what="query id", path=path)
    count = 0
    with new_file(path) as unfinished, packed(unfinished, path.suffix.lower()) as file:
        for query, given in rankings.items():
            check_ids(given, what="document id", path=path)
            scores = numbers_in(given, query=query)
            lines = []
            for rank, id in enumerate(ranked(scores), 1):
                if not math.isfinite(scores[id]):
                    raise OutputError(
                        f"{path} cannot hold the score {scores[id]} of document {short(id)!r} "
                        f"for query {short(query)!r}; make it a finite number"
                    )
                lines.append(f"{query} Q0 {id} {rank} {scores[id]!r} {tag}\n")
            file.write("".join(lines).encode())
            count += len(lines)
    return count


def check_ids(ids: Mapping[str, object] | tuple[str, ...], *, what: str, path: Path) -> None:
    """Raise `OutputError` for an id that a line of columns parted by white space cannot hold."""
    for id in ids:
        if not isinstance(id, str):
            raise OutputError(f"{path} cannot hold the {what} {id!a}; make it a string")
        if id.split() != [id] or "\ufeff" in id or not fits(id):
            raise OutputError(
                f"{path} cannot hold the {what} {id!a}, since white space parts its columns; "
                "rename it without white space and control characters"
            )


def fits(id: str) -> bool:
    """Whether trec_eval can hold the id (or ids): no NUL and no half of a surrogate pair."""
    with contextlib.suppress(UnicodeEncodeError):
        return "\0" not in id and (id.isascii() or bool(id.encode()))
    return False


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """The file's content in pieces that end where a line ends, without the byte order mark."""
    rest = file.read(len(BOM)).removeprefix(BOM)
    while piece := file.read(BLOCK):
        end = piece.rfind(b"\n") + 1
        if end:
            yield rest + piece[:end]
            rest = piece[end:]
        else:
            rest += piece
        if len(rest) > LONGEST:
            break  # the line is refused, not gathered
    if rest:
        yield rest


def _take(block: bytes, rankings: Rankings) -> bool:
    """Add the lines of a block to the rankings; false where any of them is not as it should be.

    Works on whole columns: a loop over the fields of a million lines takes twice as long. A NUL,
    which no line may hold, stands for the end of a line, so that each shows as a column too many.
    """
    try:
        text = block.decode()
    except UnicodeDecodeError:
        return False
    if "\0" in text or len(block) > LONGEST:
        return False
    lines, width = text.count("\n"), len(COLUMNS) + 1
    fields = text.replace("\n", " \0 ").split()
    if len(fields) != lines * width or fields[width - 1 :: width].count("\0") != lines:
        return _without_blank_lines(text, rankings)
    ids, scores = fields[2::width], _scores(fields[4::width])
    if scores is None:
        return False
    start = 0
    for query, lines_of_query in groupby(fields[0::width]):
        end = start + len(list(lines_of_query))
        ranking = rankings.setdefault(query, {})
        size = len(ranking) + end - start
        ranking.update(zip(ids[start:end], scores[start:end], strict=True))
        if len(ranking) != size:
            return False
        start = end
    return True


def _scores(written: list[str]) -> list[float] | None:
    """The scores of a block; None where one is not a finite number."""
    import orjson

    try:  # what is also a number in JSON, nearly always all of them, is read much faster so
        scores = orjson.loads(f"[{','.join(written)}]")
        kinds = set(map(type, scores))
        if len(scores) == len(written) and kinds <= {float, int}:
            return list(map(float, scores)) if int in kinds else scores
    except ValueError:
        pass
    return list(map(float, written)) if all(map(_is_finite, written)) else None


def _without_blank_lines(text: str, rankings: Rankings) -> bool:
    """Try once more where blank lines, or a last line without its end, may be all that is wrong."""
    lines = [line for line in text.split("\n") if line.strip()]
    sound = "".join(f"{line}\n" for line in lines)
    return sound != text and _take(sound.encode(), rankings)


def _first_fault(path: Path) -> str:
    """The message for the first line that is not as it should be."""
    seen: dict[tuple[str, str], int] = {}
    for number, line in numbered(path):
        fault = line.detail if isinstance(line, Fault) else _fault(line, number, seen)
        if fault:
            return f"{path}:{number}: {fault}"
    return f"{path} changed while it was read; read it again"


def _fault(line: bytes, number: int, seen: dict[tuple[str, str], int]) -> str:
    """What is wrong with one line, or nothing; `seen` is where each document was ranked."""
    try:
        columns = line.decode().split()
    except UnicodeDecodeError as error:
        return f"{invalid_utf8(error).detail}; write the file as UTF-8"
    if not columns:
        return ""
    if len(columns) != len(COLUMNS):
        if number > 1 and len(columns) < len(COLUMNS) and not line.endswith(b"\n"):
            return (
                f"the last line is cut off: it has {len(columns)} of the {len(COLUMNS)} columns; "
                "copy or make the file again"
            )
        return (
            f"the line has {len(columns)} columns, a run file has {len(COLUMNS)}: "
            f"{', '.join(COLUMNS)}" + ("; it looks like qrels" if len(columns) in (3, 4) else "")
        )
    if b"\0" in line:
        return "the line holds a NUL byte, which no id can hold; make the file again"
    query, id, score = columns[0], columns[2], columns[4]
    if not _is_finite(score):
        return f"the score {short(score)!r} is not a finite number; make it one"
    earlier = seen.setdefault((query, id), number)
    if earlier != number:
        return (
            f"document {short(id)!r} is in the ranking of query {short(query)!r} already, "
            f"at line {earlier}; leave one of them"
        )
    return ""


def _is_finite(text: str) -> bool:
    try:  # Python would read 1_0 as a number
        return "_" not in text and math.isfinite(float(text))
    except ValueError:
        return False
