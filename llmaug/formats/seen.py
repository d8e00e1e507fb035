"""The ids that a file has had so far, exactly and in bounded memory."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from llmaug.errors import TextError

CACHE = -16_384  # of SQLite, in KiB when negative
HELD = 100_000  # ids held in memory before they go to disk


class Seen:
    """Ids and where each stood first; many go to a temporary database, gone by itself."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: dict[str, int] = {}
        self._database: sqlite3.Connection | None = None

    def __enter__(self) -> Seen:
        return self

    def __exit__(self, *_: object) -> None:
        if self._database is not None:
            self._database.close()

    def _opened(self) -> sqlite3.Connection:
        # An empty name is a private file on disk, which SQLite deletes. A generator that reads
        # rows may be ended by another thread than the one that began it.
        database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        database.execute(f"PRAGMA cache_size = {CACHE}")
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("CREATE TABLE seen (id BLOB PRIMARY KEY, place INTEGER) WITHOUT ROWID")
        database.execute("BEGIN")
        database.executemany(
            "INSERT INTO seen VALUES (?, ?)",
            ((id.encode(), place) for id, place in self._held.items()),
        )
        self._held.clear()
        return database

    def before(self, id: str, place: int) -> int:
        """Where this id stood before, or 0 after noting that it stands here first."""
        try:
            if self._database is None:
                if len(self._held) < HELD:
                    first = self._held.setdefault(id, place)
                    return 0 if first == place else first
                self._database = self._opened()
            key = id.encode()
            added = self._database.execute(
                "INSERT OR IGNORE INTO seen VALUES (?, ?)", (key, place)
            ).rowcount
            if added:
                return 0
            found = self._database.execute("SELECT place FROM seen WHERE id = ?", (key,))
            return int(found.fetchone()[0])
        except sqlite3.Error as error:
            raise TextError(
                f"{self._path}: the ids read so far do not fit on the disk for "
                f"temporary files ({error}); free space there"
            ) from None
