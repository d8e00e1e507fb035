"""What every readable format offers: its rows, before anyone says which field is the text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol


class Fault(NamedTuple):
    """Why one row could not be read: a short kind, and the rest of the message."""

    error: str
    detail: str


RawRow = tuple[int, dict[str, Any] | Fault]  # its place in the file, and its fields


class Source(Protocol):
    """One file or folder of rows, which can be read any number of times.

    A row's place is the line where it starts, or the number of the row where the format has no
    lines (`lined` is false); both count from 1. Raises `TextError` where the file as a whole
    cannot be read, after the rows that could be.
    """

    path: Path  # the file that holds the rows, for messages
    text_field: str  # the field that holds the text unless the caller names another
    lined: bool

    def rows(self) -> Iterator[RawRow]: ...

    def columns(self) -> Sequence[str] | None: ...  # None: only the rows know their fields

    def files(self) -> list[Path]: ...  # everything that decides the rows

    def row_estimate(self) -> int | None: ...  # None: only reading it would tell
