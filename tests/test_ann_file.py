"""FAISS indexes as files: they answer as before, and what is not one of ours is refused."""

from __future__ import annotations

import resource

import pytest
from unit_vectors import COUNT, DIMENSION, KINDS, QUERIES, VECTORS, build

from llmaug.errors import OutputError, RetrievalError
from llmaug.retrieval.ann import VectorIndex

faiss = pytest.importorskip("faiss", reason="needs the extra retrieval")


@pytest.mark.parametrize("factory", KINDS)
def test_a_saved_index_answers_as_before(tmp_path, factory):
    index = build(factory)
    index.save(tmp_path / "vectors.faiss")
    read = VectorIndex.load(
        tmp_path / "vectors.faiss", factory=factory, count=COUNT, dimension=DIMENSION
    )
    for before, after in zip(index.search(QUERIES, 5), read.search(QUERIES, 5), strict=True):
        assert (before == after).all()
    assert str(read) == str(index)
    assert list(tmp_path.iterdir()) == [tmp_path / "vectors.faiss"]


@pytest.mark.parametrize("factory", ["Flat", "IVF16,Flat", "HNSW16", "PQ4", "IVF16,PQ8x4fs,RFlat"])
def test_the_same_vectors_and_seed_give_the_same_file(tmp_path, factory):
    files = []
    for _ in range(2):
        build(factory).save(tmp_path / "vectors.faiss")
        files.append((tmp_path / "vectors.faiss").read_bytes())
    assert files[0] == files[1]


def test_another_seed_gives_other_centroids(tmp_path):
    files = []
    for seed in (1, 2):
        build("IVF16,Flat", seed=seed).save(tmp_path / "vectors.faiss")
        files.append((tmp_path / "vectors.faiss").read_bytes())
    assert files[0] != files[1]


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "vectors.faiss"
    build().save(path)
    for wrong, message in (
        ({"factory": "HNSW16"}, "is of the kind Flat, not HNSWFlat"),
        ({"count": 3}, "holds as many vectors as 2000, not 3"),
        ({"dimension": 3}, "has as many dimensions as 32, not 3"),
    ):
        with pytest.raises(RetrievalError, match=message):
            VectorIndex.load(path, **wrong)
    faiss.write_index(faiss.IndexFlatL2(4), str(path))
    with pytest.raises(RetrievalError, match="does not compare by inner product"):
        VectorIndex.load(path)
    faiss.write_index_binary(faiss.IndexBinaryFlat(8), str(path))
    with pytest.raises(RetrievalError, match="is not an index that FAISS can read"):
        VectorIndex.load(path)
    with pytest.raises(RetrievalError, match="No such file"):
        VectorIndex.load(tmp_path / "nowhere")


def test_a_file_that_claims_to_be_huge_allocates_nothing(tmp_path):
    path = tmp_path / "vectors.faiss"
    build(vectors=VECTORS[:4]).save(path)
    honest = path.read_bytes()
    claimed = (4 * DIMENSION).to_bytes(8, "little")
    assert honest.count(claimed) == 1
    path.write_bytes(honest.replace(claimed, (2**38).to_bytes(8, "little")))
    before = faiss.get_deserialization_vector_byte_limit()
    with pytest.raises(RetrievalError, match="get_deserialization_vector_byte_limit"):
        VectorIndex.load(path)
    assert faiss.get_deserialization_vector_byte_limit() == before


def test_a_folder_that_is_missing_is_one_line(tmp_path):
    with pytest.raises(OutputError, match="does not exist; make it first"):
        build().save(tmp_path / "no" / "vectors.faiss")


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "vectors.faiss"
    build(vectors=VECTORS[:4]).save(path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"vectors\.faiss cannot be written: File too large"):
            build().save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
