"""Mined pairs in a file that is reused while nothing that decides them has changed.

PATH               the mined pairs, JSONL
PATH.json          what they were mined from and with, and the SHA-256 of PATH
PATH.part(.json)   an unfinished file, and how far it is; gone when all is mined
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson

from llmaug.errors import RetrievalError
from llmaug.formats.atomic import check_file, sync
from llmaug.journal import explained, write_json
from llmaug.retrieval.building import silent
from llmaug.retrieval.dense import Progress
from llmaug.retrieval.index import Index
from llmaug.training.mine import Miner, MiningAccount, account_of, done_of
from llmaug.training.mined import mined_line
from llmaug.training.pairs import Pair
from llmaug.training.settings import MiningSettings
from llmaug.training.teacher import Teacher

FORMAT = "llmaug mined pairs 1"


class MinedFile(NamedTuple):
    """A file of mined pairs; `reused` says that it was there before."""

    path: Path
    account: MiningAccount
    reused: bool


def mine_to(
    path: str | Path,
    pairs: Sequence[Pair],
    index: Index,
    *,
    known: Mapping[str, Collection[str]],
    settings: MiningSettings | None = None,
    teacher: Teacher | None = None,
    progress: Progress = silent,
) -> MinedFile:
    """Mine into a JSONL file, as `mine` does, unless it holds these very pairs already.

    They are the same while the pairs, what is known, the settings, and the fingerprints of the
    index (documents, weights, both rankings) and of the teacher are, and the file is as it was
    written. Mining that was interrupted, also by kill -9, goes on behind the last complete block.
    """
    path, settings = Path(path), settings or MiningSettings()
    check_file(path)
    identity = _identity(
        pairs, known=known, settings=settings, marks=[index.fingerprint, _mark(teacher)]
    )
    if (before := _counts_of(path, identity)) is not None:
        return MinedFile(path, account_of(before), True)
    counts: Counter[str] = Counter()
    miner = Miner(index, known=known, settings=settings, teacher=teacher, counts=counts)
    miner.documents.refuse_others(pairs)
    with explained(path), _beside(path, ".part").open("a+b") as part:
        _alone(part, path)
        counts.update(_reopened(part, path, identity))
        rest = pairs[done_of(counts) :]
        for block in miner.blocks(
            rest, progress=lambda stage, done, _: progress(stage, done, len(pairs))
        ):
            part.write(b"".join(map(mined_line, block)))
            part.flush()
            os.fsync(part.fileno())
            state = {"identity": identity, "bytes": part.tell(), "counts": counts}
            write_json(_beside(path, ".part.json"), state)
        _put_in_force(part, path, identity=identity, counts=counts)
    return MinedFile(path, account_of(counts), False)


def _put_in_force(part: IO[bytes], path: Path, *, identity: str, counts: Counter[str]) -> None:
    """Name the finished file what it was to be; what says so comes first and has its hash."""
    part.seek(0)
    digest = hashlib.file_digest(part, "sha256").hexdigest()  # type: ignore[arg-type]
    about = {"format": FORMAT, "identity": identity, "sha256": digest, "counts": counts}
    write_json(_beside(path, ".json"), about)
    os.replace(_beside(path, ".part"), path)
    sync(path.parent)
    _beside(path, ".part.json").unlink(missing_ok=True)


def _counts_of(path: Path, identity: str) -> Counter[str] | None:
    """What mining the file counted; None where it is not there, of something else, or changed."""
    about = _read(_beside(path, ".json"))
    if about.get("format") != FORMAT or about.get("identity") != identity or not path.is_file():
        return None
    with explained(path), path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != about.get("sha256"):
            return None
    return Counter(about["counts"])


def _reopened(part: IO[bytes], path: Path, identity: str) -> Counter[str]:
    """Cut an unfinished file behind its last complete block; what was counted up to there."""
    state = _read(_beside(path, ".part.json"))
    size = os.fstat(part.fileno()).st_size
    fits = state.get("identity") == identity and state["bytes"] <= size
    part.truncate(state["bytes"] if fits else 0)
    part.seek(0, os.SEEK_END)
    return Counter(state["counts"] if fits else {})


def _alone(part: IO[bytes], path: Path) -> None:
    """Keep other processes from the unfinished file; the lock dies with us."""
    try:
        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise RetrievalError(f"another process is mining {path}; wait for it") from None


def _identity(
    pairs: Sequence[Pair],
    *,
    known: Mapping[str, Collection[str]],
    settings: MiningSettings,
    marks: Sequence[str],
) -> str:
    """SHA-256 over whatever decides what is mined, in 64 hex digits."""
    digest = hashlib.sha256(json.dumps([FORMAT, asdict(settings), *marks]).encode())
    for pair in pairs:
        answers = sorted(known.get(pair.query_id, ()))
        digest.update(orjson.dumps([asdict(pair), answers]) + b"\n")
    return digest.hexdigest()


def _mark(teacher: Teacher | None) -> str:
    return "" if teacher is None else teacher.fingerprint


def _read(path: Path) -> dict[str, Any]:
    """A JSON file of ours; empty where it is none."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
