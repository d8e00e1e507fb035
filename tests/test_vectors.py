"""The vector store: nothing encoded twice, nothing lost, whoever kills, tears or reads it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from counting_embedder import Counting, direct, filled, keys, stored
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmaug.errors import RetrievalError
from llmaug.retrieval.vector_file import Shape
from llmaug.retrieval.vectors import VectorStore

PROPERTY = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
CHILD = """
import sys, time
sys.path.insert(0, {tests!r})
from counting_embedder import Counting, filled
from llmaug.retrieval.vectors import VectorStore
class Slow(Counting):
    def encode(self, texts, *, side=""):
        print(*texts, sep="\\n", flush=True)
        time.sleep(0.02)
        return super().encode(texts, side=side)
filled(VectorStore({folder!r}, embedder=Slow()), [f"text {{i}}" for i in range(400)])
"""


WORDS = st.lists(st.sampled_from([f"{'long ' * (i % 4)}text {i}" for i in range(30)]), max_size=20)


@PROPERTY
@given(st.lists(st.tuples(WORDS, st.booleans()), min_size=1, max_size=5), st.integers(1, 7))
def test_every_text_is_encoded_once_and_found_again(
    tmp_path: Path, fills: list[tuple[list[str], bool]], batch: int
) -> None:
    embedder = Counting(batch=batch)
    store = VectorStore(tmp_path, embedder=embedder, fresh=True)
    for texts, reopen in fills:
        before = len(store)
        assert filled(store, texts) == len(store) - before
        if reopen:
            store = VectorStore(tmp_path, embedder=embedder)
        assert np.array_equal(stored(store, texts), direct([*texts, "x"])[: len(texts)])
    assert sorted(embedder.texts) == sorted({text for texts, _ in fills for text in texts})
    assert max(map(len, embedder.calls), default=0) <= batch


@pytest.mark.parametrize("name", ["vectors.bin", "keys.bin"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_file_torn_at_any_byte_leaves_the_rows_before(
    tmp_path: Path, name: str, dtype: str
) -> None:
    texts = [f"text {i}" for i in range(5)]
    filled(VectorStore(tmp_path, embedder=Counting(batch=2), dtype=dtype), texts)
    whole = {file: (tmp_path / file).read_bytes() for file in ("vectors.bin", "keys.bin")}
    for size in range(len(whole[name])):
        for file, content in whole.items():
            (tmp_path / file).write_bytes(content[:size] if file == name else content)
        embedder = Counting()
        store = VectorStore(tmp_path, embedder=embedder, dtype=dtype)
        rows = size // (len(whole[name]) // len(texts))
        assert len(store) == rows
        assert filled(store, texts) == len(embedder.texts) == len(texts) - rows
        assert {f: (tmp_path / f).stat().st_size for f in whole} == {
            f: len(content) for f, content in whole.items()
        }
        assert np.allclose(stored(store, texts), direct(texts), atol=1e-3)


def test_longest_first_and_progress_counts_texts(tmp_path: Path) -> None:
    embedder, told = Counting(batch=2), []
    store = VectorStore(tmp_path, embedder=embedder)
    texts = ["a", "aaaa", "aa", "aaaa", "aaaaa"]
    assert filled(store, texts, progress=lambda *at: told.append(at)) == 4
    assert embedder.calls[1:] == [["aaaaa", "aaaa"], ["aa", "a"]]
    assert told == [(2, 4), (4, 4)]


def test_keys_that_share_a_half_are_told_apart(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, embedder=Counting())
    halves = np.array([[7, i] for i in range(20)] + [[2**64 - 1, 5]], dtype=np.uint64)
    halves.tofile(tmp_path / "keys.bin")
    rows = np.zeros(len(halves), dtype=Shape(store.dimension, "float32").row)
    rows.tofile(tmp_path / "vectors.bin")
    store = VectorStore(tmp_path, embedder=Counting())
    assert store.rows(halves).tolist() == list(range(21))
    absent = np.array([[7, 20], [2**64 - 1, 6], [0, 0]], dtype=np.uint64)
    assert store.rows(absent).tolist() == [-1, -1, -1]


def test_one_writes_while_others_read(tmp_path: Path) -> None:
    texts = [f"text {i}" for i in range(40)]
    reader = VectorStore(tmp_path, embedder=Counting())
    filled(reader, texts[:10])
    before = stored(reader, texts[:10])
    seen: list[str] = []

    def look(done: int, _: int) -> None:
        assert np.array_equal(stored(reader, texts[:10]), before)
        late = VectorStore(tmp_path, embedder=Counting())
        assert np.array_equal(stored(late, texts[:10]), before)
        assert len(late) == 10 + done
        with pytest.raises(RetrievalError, match="another process works in") as busy:
            filled(late, ["one more"])
        with pytest.raises(RetrievalError, match="another process works in"):
            VectorStore(tmp_path, embedder=Counting(), fresh=True)
        seen.append(str(busy.value))

    filled(VectorStore(tmp_path, embedder=Counting()), texts, progress=look)
    assert len(seen) == 8
    assert reader.rows(keys(texts[:12])).tolist()[9:] == [9, -1, -1]
    embedder = Counting()
    assert filled(VectorStore(tmp_path, embedder=embedder), texts) == 0
    assert filled(reader, texts) == 0  # what another process added is seen under the lock
    assert np.array_equal(stored(reader, texts), direct(texts))


def test_blocks_keep_the_asked_order_and_threads_may_share_a_store(tmp_path: Path) -> None:
    texts = [f"text {i}" for i in range(50)]
    store = VectorStore(tmp_path, embedder=Counting(), dtype="float16")
    filled(store, texts)
    expected, wrong = stored(store, texts), []

    def read(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(100):
            chosen = rng.integers(0, len(texts), 30)
            block = stored(store, [texts[i] for i in chosen])
            if block.dtype != np.float32 or not np.array_equal(block, expected[chosen]):
                wrong.append(seed)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("row", [-1, 1])
def test_a_row_that_is_not_there_is_an_error(tmp_path: Path, row: int) -> None:
    store = VectorStore(tmp_path, embedder=Counting())
    filled(store, ["a text"])
    with pytest.raises(RetrievalError, match=f"has no row {row}"):
        store.block(np.array([0, row]))


def test_a_kill_in_the_middle_of_encoding_loses_one_batch(tmp_path: Path) -> None:
    code = CHILD.format(tests=str(Path(__file__).parent), folder=str(tmp_path / "store"))
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(60)]
    child.send_signal(signal.SIGKILL)
    lines += child.stdout.readlines()
    child.wait()
    child.stdout.close()
    encoded = [line.strip() for line in lines if line.startswith("text")]
    embedder, texts = Counting(), [f"text {i}" for i in range(400)]
    store = VectorStore(tmp_path / "store", embedder=embedder)
    assert 50 < len(store) < 400
    filled(store, texts)
    assert len(texts) <= len(encoded) + len(embedder.texts) <= len(texts) + embedder.batch
    assert np.array_equal(stored(store, texts), direct(texts))
