"""The documents of an index, kept beside it so that a hit can be shown and the index rebuilt."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from llmaug.errors import RetrievalError, TextError
from llmaug.formats.jsonl import dumped
from llmaug.retrieval.rankings import fits
from llmaug.text import Text

if TYPE_CHECKING:
    import numpy as np

DOCUMENTS, OFFSETS, IDS = "documents.jsonl", "offsets.npy", "ids.txt"
META = "meta"  # the field that holds a document's other fields


def write_documents(
    folder: Path, documents: Iterable[Text], *, each: Callable[[Text], None] = lambda _: None
) -> int:
    """Write documents in their order and return how many there were; `each` sees every one.

    Ids must be unique, without white space, and not empty: a TREC run could not hold others.
    Memory grows with the ids alone. Raises `TextError` for an id that will not do.
    """
    import numpy as np

    offsets, seen = [0], set[str]()
    with (
        (folder / DOCUMENTS).open("wb") as lines,
        (folder / IDS).open("w", encoding="utf-8", newline="\n") as ids,
    ):
        for number, document in enumerate(documents, 1):
            if not isinstance(document, Text):
                raise TextError(
                    f"document {number} is a {type(document).__name__}, not a Text: "
                    "write llmaug.Text(text, id, id)"
                )
            id = document.id
            if not isinstance(id, str) or id.split() != [id] or not fits(id):
                raise TextError(
                    f"the document id {document.id!r} is empty or holds white space or what UTF-8 "
                    "cannot, and a ranking in TREC format could not name it; give it another id"
                )
            if document.id in seen:
                raise TextError(f"the document id {document.id!r} comes twice; ids must be unique")
            seen.add(document.id)
            row = {"id": document.id, "text": document.text, META: dict(document.meta)}
            line = dumped(row, number=number) + b"\n"
            lines.write(line)
            ids.write(document.id + "\n")
            offsets.append(offsets[-1] + len(line))
            each(document)
    np.save(folder / OFFSETS, np.array(offsets, dtype=np.int64), allow_pickle=False)
    return len(offsets) - 1


class DocumentFile:
    """Documents by their place, read from the disk one by one; safe from several threads."""

    def __init__(self, folder: Path) -> None:
        import numpy as np

        self.path = folder / DOCUMENTS
        self.ids = (folder / IDS).read_text(encoding="utf-8").split("\n")[:-1]
        self._offsets: np.ndarray = np.load(folder / OFFSETS, mmap_mode="r", allow_pickle=False)
        self._file = os.open(self.path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, place: int) -> Text:
        start, stop = int(self._offsets[place]), int(self._offsets[place + 1])
        try:
            row = orjson.loads(os.pread(self._file, stop - start, start))
            return Text(row["text"], row["id"], row["id"], "", row[META])
        except (ValueError, KeyError, TypeError):
            raise RetrievalError(
                f"{self.path} does not hold a document at byte {start}; build the index again"
            ) from None

    def __iter__(self) -> Iterator[Text]:
        return (self[place] for place in range(len(self)))
