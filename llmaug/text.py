"""A text, and reading and writing files of texts in every format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Text:
    """One text: an input, or a variant made from one.

    `id` is unique in its file (a line number where the input has none); `root` is the id of the
    input that it descends from and equals `id` for an input; `made_by` says which steps made it
    (`str(step)@fingerprint`, joined by ` >> `), and is empty for an input; `meta` holds the
    other fields (label, title, score, …), carried through untouched.
    """

    text: str
    id: str
    root: str
    made_by: str = ""
    meta: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    def derive(self, text: str, *, made_by: str, id: str, **meta: Any) -> Text:
        """A variant of this text, of the same root, with `made_by` and `meta` added to its own."""
        return Text(
            text=text,
            id=id,
            root=self.root,
            made_by=f"{self.made_by} >> {made_by}" if self.made_by else made_by,
            meta={**self.meta, **meta} if meta else self.meta,
        )

    def with_meta(self, **meta: Any) -> Text:
        """The same text with more fields."""
        return replace(self, meta={**self.meta, **meta})


@dataclass(frozen=True, slots=True)
class BadRow:
    """An input row that could not be read: a counted failure, never a skipped row."""

    file: str
    line: int                     # from 1; 0 where the format has no lines
    error: str                    # a short kind: "invalid UTF-8", "broken JSON", "missing field", …
    message: str                  # one line with file and line number
    id: str = ""
