"""Training pairs from what `llmaug augment` made of a corpus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from llmaug.errors import TextError
from llmaug.formats.fields import kind, lacking, short
from llmaug.training.pairs import Pair, checked_pair

OWN = ("id", "root", "text", "made_by")


def pairs_from_variants(path: str | Path, *, score: str | None = None) -> list[Pair]:
    """A synthetic pair for each variant in the JSONL output of a run over a corpus.

    The variant is the query, its root the document; inputs that the plan kept are left out.
    `score` names the field that says how good a pair is, which every variant must then have.
    Raises `TextError` with file and line for a row that is not of such a file, and for an id that
    comes twice.
    """
    pairs, lines = [], dict[str, int]()
    for number, row in _rows(Path(path)):
        where = f"{path}:{number}"
        for name in OWN:
            if name not in row:
                raise TextError(f"{where}: {lacking(name, row)}; give the output of llmaug augment")
            if not isinstance(row[name], str):
                raise TextError(f"{where}: the field {name!r} holds {kind(row[name])}, no string")
        if not row["made_by"]:
            continue
        id = row["id"]
        if (earlier := lines.setdefault(id, number)) != number:
            raise TextError(f"{where}: the id {short(id)!r} is also that of line {earlier}")
        if score is not None and row.get(score) is None:
            raise TextError(f"{where}: {lacking(score, [name for name in row if name != score])}")
        fields = {"query_id": id, "query": row["text"], "document_id": row["root"]}
        fields |= {"made_by": row["made_by"], "score": row[score] if score else None}
        pairs.append(checked_pair(fields, where=where))
    return pairs


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file with the numbers of their lines."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                row = orjson.loads(line)
                if not isinstance(row, dict):
                    raise TextError(f"{path}:{number}: a row is an object, not {kind(row)}")
                yield number, row
    except orjson.JSONDecodeError as error:
        raise TextError(f"{path}:{number}: not JSON: {error}") from None
    except OSError as error:
        raise TextError(f"{path} cannot be read: {error.strerror or error}") from None
