"""Sealed folders: what differs from the manifest is never read."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from llmaug.errors import OutputError, RetrievalError
from llmaug.retrieval.ann import VectorIndex
from llmaug.retrieval.sealed import check, seal

ABOUT = {"embedder": "fake", "documents": 3, "nested": {"k1": 0.9}}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "index"
    (folder / "bm25").mkdir(parents=True)
    (folder / "vectors.faiss").write_bytes(bytes(range(200)))
    (folder / "bm25" / "scores.npy").write_bytes(b"scores")
    (folder / "empty").write_bytes(b"")
    seal(folder, ABOUT)
    return folder


def change_manifest(folder, change):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_what_was_sealed_comes_back(folder):
    assert check(folder, needs=["vectors.faiss", "bm25/scores.npy"]) == ABOUT
    files = json.loads((folder / "manifest.json").read_text())["files"]
    assert sorted(files) == ["bm25/scores.npy", "empty", "vectors.faiss"]


def test_sealing_again_gives_the_same_manifest(folder):
    before = (folder / "manifest.json").read_bytes()
    seal(folder, ABOUT)
    assert (folder / "manifest.json").read_bytes() == before


def test_files_that_are_not_listed_count_only_where_needed(folder):
    (folder / "notes.txt").write_text("mine")
    assert check(folder) == ABOUT
    with pytest.raises(RetrievalError, match=r"does not list notes.txt; build it again"):
        check(folder, needs=["notes.txt"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "vectors.faiss is missing; build it again"),
        (bytes(range(150)), "vectors.faiss is truncated: 150 bytes instead of 200"),
        (bytes(201), "vectors.faiss is too long: 201 bytes instead of 200"),
        (bytes(200), "vectors.faiss does not have the SHA-256 of its manifest; build it again"),
    ],
)
def test_a_changed_file_is_refused(folder, content, message):
    (folder / "vectors.faiss").unlink()
    if content is not None:
        (folder / "vectors.faiss").write_bytes(content)
    with pytest.raises(RetrievalError, match=message) as caught:
        check(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["../outside", "/etc/hostname", "bm25/../vectors.faiss", "a\0b", "", ".", "bm25//scores"],
)
def test_a_listed_path_cannot_leave_the_folder(folder, name):
    (folder.parent / "outside").write_bytes(b"")
    entry = json.loads((folder / "manifest.json").read_text())["files"]["empty"]
    change_manifest(folder, lambda manifest: manifest["files"].update({name: entry}))
    with pytest.raises(RetrievalError, match="is a link or leaves the folder"):
        check(folder)


@pytest.mark.parametrize("linked", ["vectors.faiss", "bm25"])
def test_a_link_in_place_of_a_file_is_refused(folder, linked):
    moved = folder.parent / "moved"
    (folder / linked).rename(moved)
    (folder / linked).symlink_to(moved)
    with pytest.raises(RetrievalError, match="is a link or leaves the folder"):
        check(folder)
    with pytest.raises(RetrievalError, match="is not a regular file"):
        seal(folder, ABOUT)


def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(folder):
    (folder / "empty").unlink()
    os.mkfifo(folder / "empty")
    with pytest.raises(RetrievalError, match="empty is not a regular file"):
        check(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b'{"files": {}}',
        b'{"format": "llmaug sealed folder 1", "about": {}, "files": []}',
        b'{"format": "llmaug sealed folder 1", "about": {}, "files": {"empty": {"bytes": 0}}}',
        b'{"format": "llmaug sealed folder 2", "about": {}, "files": {}}',
    ],
)
def test_a_damaged_manifest_is_refused(folder, content):
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(RetrievalError, match=r"manifest.json is not a manifest.*build it again$"):
        check(folder)


def test_a_folder_without_a_manifest_is_not_complete(folder, tmp_path):
    (folder / "manifest.json").unlink()
    with pytest.raises(RetrievalError, match=r"is not complete: it has no manifest.json"):
        check(folder)
    with pytest.raises(RetrievalError, match="nowhere does not exist"):
        check(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="nowhere does not exist"):
        seal(tmp_path / "nowhere", ABOUT)


@pytest.mark.parametrize("damage", [lambda file: file[:-100], lambda file: file[:99] + b"\xff" * 8])
def test_a_damaged_index_is_refused_before_faiss_reads_it(tmp_path, damage):
    """FAISS would complain in other words, or read wrong vectors without complaint."""
    pytest.importorskip("faiss", reason="needs the extra retrieval")
    vectors = np.eye(16, dtype=np.float32)
    path = tmp_path / "vectors.faiss"
    VectorIndex.build(lambda start, stop: vectors[start:stop], 16, 16).save(path)
    seal(tmp_path, {})
    assert check(tmp_path, needs=["vectors.faiss"]) == {}
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RetrievalError, match=r"is truncated|does not have the SHA-256"):
        check(tmp_path, needs=["vectors.faiss"])
