"""Replies that were paid for, in SQLite, so that they are paid for once."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from llmaug.errors import CacheError, OutputError
from llmaug.request import Reply

FORMAT = 1
GROUP = 0.004  # seconds in which replies gather for one commit
APPLICATION = 0x6C6C6D61  # "llma": marks the file as ours
TABLE = """CREATE TABLE IF NOT EXISTS replies
           (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, reply TEXT NOT NULL)"""


class ReplyCache:
    """A file of replies by request key, written by a thread of its own in group commits.

    `put` returns at once and `get` sees the reply from then on; the callback given to `put` runs
    in the event loop once the reply would survive `kill -9`. A write that fails is kept in
    `failure` and reported through `on_failure`: it must stop the run. Several processes may
    share a file.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        on_failure: Callable[[Exception], None] | None = None,
    ) -> None:
        self.path = Path(path)
        self.failure: Exception | None = None
        self.on_failure = on_failure
        self._waiting: deque[tuple[bytes, Reply, Callable[[], None] | None]] = deque()
        self._pending: dict[bytes, Reply] = {}
        self._wake = threading.Event()
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reader = self._open()
        self._thread = threading.Thread(target=self._write_all, name="reply cache", daemon=True)
        self._thread.start()

    def _open(self) -> sqlite3.Connection:
        if not self.path.parent.is_dir():
            raise CacheError(f"cache {self.path}: the folder {self.path.parent} does not exist")
        connection = sqlite3.connect(
            self.path, timeout=60, isolation_level=None, check_same_thread=False
        )
        try:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            empty = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if not empty and (application != APPLICATION or version != FORMAT):
                raise CacheError(
                    f"cache {self.path} is "
                    + (
                        f"of format {version}, this version reads {FORMAT}"
                        if application == APPLICATION
                        else "not a reply cache"
                    )
                    + "; name another file with --cache"
                )
            connection.execute("PRAGMA journal_mode=WAL")
            # NORMAL writes every commit to the log before it returns, which survives kill -9;
            # only a power cut may lose the last commits.
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA cache_size=-16000")
            connection.execute(TABLE)
            if empty:
                connection.execute(f"PRAGMA application_id={APPLICATION}")
                connection.execute(f"PRAGMA user_version={FORMAT}")
        except sqlite3.Error as error:
            connection.close()
            raise CacheError(
                f"cache {self.path} cannot be used: {error}; name another file with --cache"
            ) from None
        except CacheError:
            connection.close()
            raise
        return connection

    def get(self, key: bytes) -> Reply | None:
        """The reply stored under a request's key, if there is one."""
        pending = self._pending.get(key)
        if pending is not None:
            return pending
        row = self._reader.execute("SELECT reply FROM replies WHERE key=?", (key,)).fetchone()
        return Reply(*orjson.loads(row[0])) if row else None

    def put(self, key: bytes, reply: Reply, *, stored: Callable[[], None] | None = None) -> None:
        """Store a reply; `stored` runs in the event loop once it is on disk."""
        self._loop = asyncio.get_running_loop()
        self._pending[key] = reply
        self._waiting.append((key, reply, stored))
        if not self._wake.is_set():
            self._wake.set()

    def __len__(self) -> int:
        count: int = self._reader.execute("SELECT count(*) FROM replies").fetchone()[0]
        return count

    def close(self) -> None:
        """Write what is waiting and close the file."""
        self._closing = True
        self._wake.set()
        self._thread.join()
        self._reader.close()

    def _write_all(self) -> None:
        connection = self._open()
        try:
            while True:
                self._wake.wait()
                if not self._closing:
                    time.sleep(GROUP)
                self._wake.clear()
                closing = self._closing  # looked at first: what came before it is written
                batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
                if batch and not self.failure:
                    self._commit(connection, batch)
                if closing:
                    return
        finally:
            connection.close()

    def _commit(
        self,
        connection: sqlite3.Connection,
        batch: list[tuple[bytes, Reply, Callable[[], None] | None]],
    ) -> None:
        rows = [
            (key, orjson.dumps((r.text, r.finish, r.prompt_tokens, r.completion_tokens)).decode())
            for key, r, _ in batch
        ]
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR IGNORE INTO replies(key, reply) VALUES (?, ?)", rows)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.failure = OutputError(
                f"cache {self.path} cannot be written: {error}; nothing "
                "that was finished is lost; free space and run the same "
                "command again"
            )
            self._tell(self.on_failure, self.failure)
            return
        for key, _ in rows:
            self._pending.pop(key, None)
        self._tell(_call_all, [stored for _, _, stored in batch if stored])

    def _tell(self, function: Callable[[Any], None] | None, argument: Any) -> None:
        """Run a function in the event loop, unless that has ended by now."""
        if function and self._loop:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(function, argument)


def _call_all(functions: list[Callable[[], None]]) -> None:
    for function in functions:
        function()
