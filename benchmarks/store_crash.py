"""Kill an encoding with SIGKILL at random moments, continue it, and count what was lost.

    python -m benchmarks.store_crash [--runs 50]

Each run fills a vector store with 3,000 texts (every tenth one twice) through a fake embedder
that writes every text it is given to a ledger of its own. It is killed one to three times, then
continued to its end; every vector is compared with that of a direct encoding. A text may be in
the ledger twice only if it was in the last batch of a process that was killed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from llmaug.retrieval.vector_file import Shape
from llmaug.retrieval.vector_manifest import PROBE
from llmaug.retrieval.vectors import VectorStore, key

TEXTS, BATCH, DIMENSION = 3_000, 32, 64
LATENCY = 0.005  # seconds a batch


class LedgerEmbedder:
    """A vector from each text's hash; a line of the ledger for each batch it is given."""

    name, fingerprint, batch = "ledger", "0123456789ab", BATCH

    def __init__(self, ledger: Path | None) -> None:
        self.ledger = ledger and os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def prompt(self, side: str) -> str:
        return ""

    def encode(self, texts: Sequence[str], *, side: str = "") -> np.ndarray:
        if self.ledger and list(texts) != [PROBE]:
            os.write(self.ledger, (json.dumps([os.getpid(), list(texts)]) + "\n").encode())
            time.sleep(LATENCY)
        hashes = b"".join(hashlib.blake2b(text.encode()).digest() for text in texts)
        vectors = np.frombuffer(hashes, dtype=np.uint8).reshape(-1, DIMENSION) - np.float32(127.5)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


class Count(NamedTuple):
    """What was found after one run."""

    kills: int
    torn: int  # kills that left one file longer than the other
    lost: int
    twice: int  # texts encoded more than once
    unexcused: int  # of those, not in the last batch of a killed process
    identical: bool


def corpus() -> list[str]:
    texts = [f"text {i} " + "word " * (i * 7 % 23) for i in range(TEXTS)]
    texts[9::10] = texts[8::10]
    return texts


def filled(folder: Path, ledger: Path | None) -> VectorStore:
    texts = corpus()
    keys = np.frombuffer(b"".join(map(key, texts)), dtype="V16")
    store = VectorStore(folder, embedder=LedgerEmbedder(ledger))
    store.fill(lambda places: [texts[place] for place in places], keys)
    return store


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "benchmarks.store_crash", "--child", folder])


def batches(ledger: Path) -> int:
    return ledger.read_bytes().count(b"\n") if ledger.exists() else 0


def wait_for_a_random_moment(
    process: subprocess.Popen[bytes], ledger: Path, *, rng: random.Random
) -> None:
    """Until it starts, makes the store or encodes: one kill in ten comes before the first batch."""
    if rng.random() < 0.1:
        time.sleep(rng.uniform(0, 0.6))
        return
    done, whole = batches(ledger), len(set(corpus())) // BATCH
    until = rng.randint(done + 1, max(done + 1, whole))
    while batches(ledger) < until and process.poll() is None:
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 2 * LATENCY))


def one_run(folder: Path, *, rng: random.Random) -> Count:
    folder.mkdir()
    store, kills, torn, killed = folder / "store", 0, 0, set()
    for _ in range(rng.randint(1, 3)):
        process = start(folder)
        wait_for_a_random_moment(process, folder / "ledger", rng=rng)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
            killed.add(process.pid)
        process.wait()
        if (store / "keys.bin").exists():
            vectors, keys = ((store / f"{name}.bin").stat().st_size for name in ("vectors", "keys"))
            torn += vectors // Shape(DIMENSION, "float32").row_bytes != keys / 16
    assert start(folder).wait() == 0
    times: dict[str, int] = {}
    last: dict[int, list[str]] = {}
    for line in (folder / "ledger").read_text().splitlines():
        process_id, batch = json.loads(line)
        last[process_id] = batch
        for text in batch:
            times[text] = times.get(text, 0) + 1
    excused: dict[str, int] = {}
    for process_id in killed & last.keys():
        for text in last[process_id]:
            excused[text] = excused.get(text, 0) + 1
    texts = corpus()
    opened = VectorStore(store, embedder=LedgerEmbedder(None))
    rows = opened.rows(np.frombuffer(b"".join(map(key, texts)), dtype="V16"))
    expected = LedgerEmbedder(None).encode(texts)
    return Count(
        kills=kills,
        torn=torn,
        lost=int((rows < 0).sum()),
        twice=sum(count - 1 for count in times.values()),
        unexcused=sum(count - 1 > excused.get(text, 0) for text, count in times.items()),
        identical=len(opened) == len(set(texts)) and np.array_equal(opened.block(rows), expected),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", type=Path)
    arguments = parser.parse_args()
    if arguments.child:
        filled(arguments.child / "store", arguments.child / "ledger")
        return
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / "whole"
        whole.mkdir()
        began = time.monotonic()
        assert start(whole).wait() == 0
        seconds = time.monotonic() - began
        counts = [
            one_run(Path(scratch) / f"run{number}", rng=rng) for number in range(arguments.runs)
        ]
    lost, unexcused = sum(c.lost for c in counts), sum(c.unexcused for c in counts)
    differ = sum(not c.identical for c in counts)
    print(
        f"{len(counts)} runs, {sum(c.kills for c in counts)} kills (whole run {seconds:.1f} s, "
        f"{sum(c.torn for c in counts)} left a torn tail): {lost} vectors lost, {unexcused} texts "
        f"encoded twice beyond the batch in flight ({BATCH}), {differ} stores differ from a "
        f"direct encoding; encoded twice in all: {sum(c.twice for c in counts)}, most in one run "
        f"{max(c.twice for c in counts)}"
    )
    sys.exit(1 if lost or unexcused or differ else 0)


if __name__ == "__main__":
    main()
