"""The rows that `llmaug tta predict` cannot read."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any, BinaryIO

from llmaug.formats.atomic import new_file
from llmaug.journal import failure_line
from llmaug.outcome import Failure
from llmaug.text import BadRow

TOLD = 10  # rows that are told of where no file lists them


class Unread:
    """Rows that cannot be read: listed in a file, whole or not at all, or told of on stderr."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.count = path, 0
        self._files = contextlib.ExitStack()
        self._lines: BinaryIO | None = None

    def __enter__(self) -> Unread:
        return self

    def __exit__(self, *error: Any) -> None:
        self._files.__exit__(*error)
        if self.path is not None and not self.count and error[0] is None:
            self.path.unlink(missing_ok=True)  # that of an earlier run

    def add(self, number: int, row: BadRow) -> None:
        self.count += 1
        if self.path is None:
            if self.count <= TOLD:
                print(f"cannot be read: {row.message}", file=sys.stderr)
            return
        if self._lines is None:
            unfinished = self._files.enter_context(new_file(self.path))
            self._lines = self._files.enter_context(unfinished.open("wb"))
        failure = Failure(number, row.id, row.error, row.message, 0, row.file, row.line)
        self._lines.write(failure_line(failure))
