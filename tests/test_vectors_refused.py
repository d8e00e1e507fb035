"""What a vector store refuses, and what it keeps when the work stops."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counting_embedder import Counting, direct, filled, keys, stored

from llmaug.errors import LlmaugError, OutputError, RetrievalError
from llmaug.retrieval.vectors import VectorStore


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"fingerprint": "feedfeedfeed"}, "fingerprint is '0123456789ab', not 'feedfeedfeed'"),
        ({"prompt": "passage: "}, "the document prompt is '', not 'passage: '"),
        ({"dtype": "float16"}, "dtype is 'float32', not 'float16'"),
    ],
)
def test_vectors_of_another_making_are_refused(
    tmp_path: Path, now: dict[str, str], said: str
) -> None:
    filled(VectorStore(tmp_path, embedder=Counting()), ["a text"])
    dtype = now.pop("dtype", "float32")
    with pytest.raises(RetrievalError, match=said) as refused:
        VectorStore(tmp_path, embedder=Counting(**now), dtype=dtype)
    assert "--fresh" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(VectorStore(tmp_path, embedder=Counting(**now), dtype=dtype, fresh=True)) == 0


@pytest.mark.parametrize(
    ("other", "said"), [({"salt": "x"}, "cosine"), ({"dimension": 9}, "cosine nan")]
)
def test_a_server_with_other_weights_under_the_same_name_is_caught(
    tmp_path: Path, other: dict[str, Any], said: str
) -> None:
    filled(VectorStore(tmp_path, embedder=Counting()), ["a text"])
    embedder = Counting(**other)
    store = VectorStore(tmp_path, embedder=embedder)
    assert filled(store, ["a text"]) == 0  # nothing to encode, nothing to compare
    for _ in range(2):
        with pytest.raises(RetrievalError, match=said):
            store.check_probe()
        with pytest.raises(RetrievalError, match=said):
            filled(store, ["another text"])
    assert embedder.texts == []


def test_the_probe_is_encoded_once_and_another_name_is_no_matter(tmp_path: Path) -> None:
    VectorStore(tmp_path, embedder=Counting())
    embedder = Counting()
    embedder.name = "the same model, elsewhere"
    store = VectorStore(tmp_path, embedder=embedder, dtype=None)
    store.check_probe()
    filled(store, ["one"])
    filled(store, ["two"])
    assert len(embedder.calls) == 3
    assert store.dtype == "float32"


def manifest(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def broken(folder: Path) -> None:
        fields = json.loads((folder / "manifest.json").read_text())
        change(fields)
        (folder / "manifest.json").write_text(json.dumps(fields))

    return broken


BROKEN = {
    "no JSON": lambda folder: (folder / "manifest.json").write_text('{"format": 1, '),
    "not an object": lambda folder: (folder / "manifest.json").write_text("[1]"),
    "not UTF-8": lambda folder: (folder / "manifest.json").write_bytes(b"\xff\xfe"),
    "deep": lambda folder: (folder / "manifest.json").write_text("[" * 100_000),
    "huge": lambda folder: os.truncate(folder / "manifest.json", 1 << 25),
    "format": manifest(lambda fields: fields.update(format=1)),
    "no probe": manifest(lambda fields: fields.pop("probe")),
    "probe of text": manifest(lambda fields: fields.update(probe=["a"] * 6)),
    "short probe": manifest(lambda fields: fields["probe"].pop()),
    "no dimension": manifest(lambda fields: fields.update(dimension=0)),
    "true dimension": manifest(lambda fields: fields.update(dimension=True)),
    "dtype": manifest(lambda fields: fields.update(dtype="O")),
    "no prompt": manifest(lambda fields: fields.update(prompt=None)),
    "manifest gone": lambda folder: (folder / "manifest.json").unlink(),
    "vectors gone": lambda folder: (folder / "vectors.bin").unlink(),
    "keys gone": lambda folder: (folder / "keys.bin").unlink(),
    "keys lost": lambda folder: os.truncate(folder / "vectors.bin", 24 * 2_000_000),
    "vectors lost": lambda folder: os.truncate(folder / "keys.bin", 16 * 2_000_000),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_store_is_refused_in_one_line_and_can_start_anew(
    tmp_path: Path, what: str
) -> None:
    filled(VectorStore(tmp_path, embedder=Counting()), ["a text"])
    BROKEN[what](tmp_path)
    with pytest.raises(RetrievalError, match="fresh") as refused:
        VectorStore(tmp_path, embedder=Counting())
    assert str(tmp_path) in str(refused.value)
    assert "\n" not in str(refused.value)
    store = VectorStore(tmp_path, embedder=Counting(), fresh=True)
    assert filled(store, ["a text"]) == 1


class Faulty(Counting):
    """Fails, in one way or another, on the text "bad"."""

    def __init__(self, fault: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__(batch=1)
        self.fault = fault

    def encode(self, texts: Sequence[str], *, side: str = "") -> np.ndarray:
        vectors = super().encode(texts, side=side)
        return self.fault(vectors) if "bad" in texts else vectors


def stop(error: BaseException) -> Callable[[np.ndarray], np.ndarray]:
    def fault(_: np.ndarray) -> np.ndarray:
        raise error

    return fault


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (lambda vectors: vectors * np.nan, RetrievalError, "NaN or infinity for text number 2"),
        (lambda vectors: vectors * np.inf, RetrievalError, "NaN or infinity for text number 2"),
        (lambda vectors: vectors[:, :2], RetrievalError, r"shape \(1, 2\).*text number 2"),
        (lambda vectors: vectors[0], RetrievalError, r"shape \(6,\)"),
        (stop(KeyboardInterrupt("stopped")), KeyboardInterrupt, "stopped"),
        (stop(MemoryError("out of memory")), MemoryError, "out of memory"),
    ],
)
def test_what_stops_the_work_loses_one_batch(
    tmp_path: Path, fault: Any, error: type[BaseException], said: str, dtype: str
) -> None:
    texts = ["first text", "bad", "x"]
    store = VectorStore(tmp_path, embedder=Faulty(fault), dtype=dtype)
    with pytest.raises(error, match=said):
        filled(store, texts)
    assert len(store) == 1
    again = Counting()
    store = VectorStore(tmp_path, embedder=again, dtype=dtype)
    assert filled(store, texts) == 2
    assert again.texts == ["bad", "x"]


def test_a_text_that_no_longer_fits_its_key_is_not_stored(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, embedder=Counting())
    with pytest.raises(RetrievalError, match="document d7 changed"):
        store.fill(lambda at: ["now"], keys(["before"]), name=lambda _: "document d7")
    assert len(store) == 0


def test_rows_that_were_changed_are_refused_and_can_be_made_anew(tmp_path: Path) -> None:
    texts = [f"text {i}" for i in range(5)]
    store = VectorStore(tmp_path, embedder=Counting())
    filled(store, texts)
    path = tmp_path / "vectors.bin"
    content = bytearray(path.read_bytes())
    content[30] ^= 1
    path.write_bytes(content)
    again = VectorStore(tmp_path, embedder=Counting())
    with pytest.raises(RetrievalError, match="is damaged: rows there are not as they were written"):
        stored(again, texts)
    anew = VectorStore(tmp_path, embedder=Counting(), fresh=True)
    filled(anew, texts)
    assert np.array_equal(stored(anew, texts), direct(texts))


def test_a_fresh_start_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    texts = [f"text {i}" for i in range(9)]
    filled(VectorStore(tmp_path, embedder=Counting()), texts)

    class Dying(Counting):
        def encode(self, texts: Any, *, side: str = "") -> Any:
            if len(self.calls) == 3:
                raise KeyboardInterrupt
            return super().encode(texts, side=side)

    with pytest.raises(KeyboardInterrupt):
        filled(VectorStore(tmp_path, embedder=Dying(batch=3), fresh=True), texts)
    again = VectorStore(tmp_path, embedder=Counting(batch=3), fresh=True)
    assert filled(again, texts) == 3
    assert len(VectorStore(tmp_path, embedder=Counting(), fresh=True)) == 0


def test_a_full_disk_ends_in_one_line_and_the_store_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, left, write = [f"text {i}" for i in range(9)], [320], os.write

    def short_of_space(handle: int, content: Any) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = write(handle, content[: left[0]])
        left[0] -= taken
        return taken

    store = VectorStore(tmp_path, embedder=Counting(batch=3))
    monkeypatch.setattr(os, "write", short_of_space)
    with pytest.raises(OutputError, match=r"disk full .*vectors.bin") as full:
        filled(store, texts)
    monkeypatch.undo()
    assert "\n" not in str(full.value)
    assert len(store) == 6  # of 44 bytes each, in batches of three
    assert (tmp_path / "vectors.bin").stat().st_size == 6 * 28
    assert filled(store, texts) == 3
    assert np.array_equal(stored(store, texts), direct(texts))


def test_an_unknown_dtype_and_a_file_for_a_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(RetrievalError, match="did you mean float16"):
        VectorStore(tmp_path, embedder=Counting(), dtype="float61")
    (tmp_path / "file").touch()
    with pytest.raises(LlmaugError, match="file"):
        VectorStore(tmp_path / "file", embedder=Counting())
