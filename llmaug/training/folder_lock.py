"""One process at a time writes into a folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from llmaug.errors import RunBusy
from llmaug.journal import explained

LOCK = "lock"


def locked(folder: Path) -> int:
    """Keep other processes out until the descriptor is closed, or this process ends in any way.

    Raises `RunBusy` when another one is in.
    """
    path = folder / LOCK
    with explained(path):
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise RunBusy(
                f"{folder}: another process works in this folder; wait for it, or name another"
            ) from None
    return lock
