"""Replies that were paid for, in SQLite, so that they are paid for once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import orjson

from llmaug.errors import CacheError, OutputError, ReplyError
from llmaug.request import Reply

FORMAT = 1
APPLICATION = 0x6C6C6D61  # "llma": marks the file as ours
GATHER = 0.002  # seconds in which replies gather for one commit
TABLE = """CREATE TABLE IF NOT EXISTS replies
           (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, reply TEXT NOT NULL)"""
PRAGMAS = (
    "journal_mode=WAL",
    # Every commit is written to the log before it returns, which survives kill -9; only a power
    # cut may lose the last ones.
    "synchronous=NORMAL",
    "cache_size=-16000",
)


class ReplyCache:
    """A file of replies by request key.

    `get` sees a reply from the moment of its `put`. Those that were put within two milliseconds
    are committed together, and then the callbacks given to `put` run. A commit that fails is
    reported to `on_failure` and must stop the run. Several processes may share a file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.on_failure: Callable[[Exception], None] | None = None
        self._waiting: dict[bytes, tuple[Reply, str]] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        if not self.path.parent.is_dir():
            raise CacheError(f"cache {self.path}: the folder {self.path.parent} does not exist")
        if self.path.is_dir():
            raise CacheError(f"cache {self.path} is a folder; name a file with --cache")
        connection = sqlite3.connect(
            self.path, timeout=60, isolation_level=None, check_same_thread=False
        )
        try:
            self._settle(connection)
        except sqlite3.Error as error:
            connection.close()
            raise CacheError(
                f"cache {self.path} cannot be used: {error}; name another file with --cache"
            ) from None
        except CacheError:
            connection.close()
            raise
        return connection

    def _settle(self, connection: sqlite3.Connection) -> None:
        """Make a new file ours, or see that an old one is."""
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if application != APPLICATION:
                raise CacheError(
                    f"{self.path} is a database, not a reply cache; name another file with --cache"
                )
            if version != FORMAT:
                raise CacheError(
                    f"cache {self.path} is of format {version}, this version reads {FORMAT}; "
                    "name another file with --cache"
                )
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        if not tables:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(TABLE)
            connection.execute(f"PRAGMA application_id={APPLICATION}")
            connection.execute(f"PRAGMA user_version={FORMAT}")
            connection.execute("COMMIT")

    def get(self, key: bytes) -> Reply | None:
        """The reply stored under a request's key, if there is one."""
        waiting = self._waiting.get(key)
        if waiting is not None:
            return waiting[0]
        try:
            found = self._connection.execute("SELECT reply FROM replies WHERE key=?", (key,))
            row = found.fetchone()
        except sqlite3.Error as error:
            raise CacheError(
                f"cache {self.path} cannot be read: {error}; name another file with --cache"
            ) from None
        return Reply(*orjson.loads(row[0])) if row else None

    def put(self, key: bytes, reply: Reply, *, stored: Callable[[], None] | None = None) -> None:
        """Store a reply; `stored` is called once it would survive `kill -9`."""
        try:
            value = orjson.dumps(
                (reply.text, reply.finish, reply.prompt_tokens, reply.completion_tokens)
            ).decode()
        except TypeError as error:
            raise ReplyError(f"the reply cannot be stored: {error}") from None
        if not self._waiting:
            asyncio.get_running_loop().call_later(GATHER, self.flush)
        self._waiting[key] = reply, value
        if stored:
            self._callbacks.append(stored)

    def flush(self) -> None:
        """Commit what was put."""
        waiting, self._waiting = self._waiting, {}
        callbacks, self._callbacks = self._callbacks, []
        rows = [(key, value) for key, (_, value) in waiting.items()]
        try:
            if rows:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany(
                    "INSERT OR IGNORE INTO replies(key, reply) VALUES (?, ?)", rows
                )
                self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            failure = OutputError(
                f"cache {self.path} cannot be written: {error}; what is finished is kept: free "
                "space and run the same command again"
            )
            if self.on_failure is None:
                raise failure from None
            self.on_failure(failure)
            return
        for stored in callbacks:
            stored()

    def __len__(self) -> int:
        (count,) = self._connection.execute("SELECT count(*) FROM replies").fetchone()
        return int(count) + len(self._waiting)

    def close(self) -> None:
        """Commit what was put and close the file."""
        try:
            self.flush()
        finally:
            self._connection.close()
