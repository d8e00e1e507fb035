"""What is in an embedder's folder: one name for one set of weights, prompts, damage."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_embedder import WORDS, write_tiny_embedder

from llmaug.embedders.embed import embedder
from llmaug.errors import ModelError


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    pytest.importorskip("sentence_transformers", reason="needs the extra retrieval")
    return write_tiny_embedder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def copied(tiny_folder, tmp_path):
    return Path(shutil.copytree(tiny_folder, tmp_path / "copied"))


def rewrite(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_bytes()) | fields))


def retrain(folder):
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-2] ^= 1
    (folder / "model.safetensors").write_bytes(weights)


def test_a_copied_folder_has_the_same_fingerprint(tiny_folder, copied):
    (copied / "README.md").write_text("words about it")
    (copied / ".cache").mkdir()
    (copied / ".cache" / "downloaded.json").write_text("{}")
    assert embedder(str(copied)).fingerprint == embedder(str(tiny_folder)).fingerprint


@pytest.mark.parametrize(
    "change",
    [
        retrain,
        lambda folder: rewrite(folder / "1_Pooling" / "config.json", pooling_mode_cls_token=True),
        lambda folder: rewrite(folder / "tokenizer.json", truncation=None),
        lambda folder: rewrite(folder / "config.json", hidden_act="relu"),
        lambda folder: (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 8}'),
        lambda folder: (folder / "modules.json").write_text("[]"),
    ],
)
def test_whatever_changes_vectors_changes_the_fingerprint(change, tiny_folder, copied):
    change(copied)
    assert embedder(str(copied)).fingerprint != embedder(str(tiny_folder)).fingerprint


def test_the_documents_prompt_changes_the_fingerprint_and_the_queries_does_not(tiny_folder):
    options = [{}, {"document_prompt": "q: "}, {"document_prompt": "d: "}]
    for name in (str(tiny_folder), "fake"):
        assert len({embedder(name, **given).fingerprint for given in options}) == 3
        assert embedder(name, query_prompt="q: ").fingerprint == embedder(name).fingerprint


def test_the_fingerprint_stays_that_of_the_weights_in_memory(copied):
    loaded = embedder(str(copied), device="cpu")
    loaded.encode(["good"])
    retrain(copied)
    assert loaded.fingerprint != embedder(str(copied)).fingerprint


@pytest.mark.parametrize(
    ("kept", "query", "document"),
    [
        ({}, "", ""),
        ({"query": "q: ", "document": "d: ", "passage": "p: "}, "q: ", "d: "),
        ({"query": "q: ", "document": "", "passage": "p: "}, "q: ", "p: "),
        ({"corpus": "c: ", "other": "o: "}, "", "c: "),
    ],
)
def test_prompts_come_from_the_folder_unless_given(kept, query, document, copied):
    configuration = {"prompts": kept, "default_prompt_name": next(iter(kept), None)}
    (copied / "config_sentence_transformers.json").write_text(json.dumps(configuration))
    from_folder = embedder(str(copied), device="cpu")
    assert (from_folder.prompt("query"), from_folder.prompt("document")) == (query, document)
    given = embedder(str(copied), query_prompt="mine: ", document_prompt="")
    assert [given.prompt(side) for side in ("query", "document", "")] == ["mine: ", "", ""]
    assert given.parameters == {"query_prompt": "mine: ", "document_prompt": ""}


def test_nan_is_an_error_that_names_the_text(copied):
    from safetensors.numpy import load_file, save_file

    weights = load_file(copied / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][WORDS.index("bad")] = np.nan
    save_file(weights, copied / "model.safetensors")
    with pytest.raises(ModelError, match=r"NaN or infinity for 2 of 3 texts.*begins 'bad film'"):
        embedder(str(copied), device="cpu").encode(["good film", "bad film", "bad"])


def test_a_folder_that_does_not_load_is_one_line(copied):
    (copied / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="does not load: ") as caught:
        embedder(str(copied), device="cpu").encode(["good"])
    assert "\n" not in str(caught.value)


def test_exported_weights_are_no_pickles(copied):
    before = embedder(str(copied)).fingerprint
    (copied / "openvino").mkdir()
    (copied / "openvino" / "openvino_model.xml").write_text("<net/>")
    (copied / "openvino" / "openvino_model.bin").write_bytes(b"bare numbers")
    assert embedder(str(copied)).fingerprint == before


NAME = "somebody/tiny"


def in_the_hubs_cache(folder: Path, cache: Path) -> Path:
    """A copy of the folder, laid out as the hub's client keeps what it downloaded."""
    kept = cache / "models--somebody--tiny"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("0123abcd" * 5)
    return Path(shutil.copytree(folder, kept / "snapshots" / ("0123abcd" * 5)))


def fingerprint_offline(cache: Path) -> str:
    """What a program without a network finds under the name: the fingerprint, or the error."""
    code = (
        "from llmaug.errors import ModelError\n"
        "from llmaug.embedders.embed import embedder\n"
        f"try: print(embedder({NAME!r}).fingerprint)\n"
        "except ModelError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.removesuffix("\n")


def test_a_name_of_the_hub_is_found_in_its_cache(tiny_folder, tmp_path):
    in_the_hubs_cache(tiny_folder, tmp_path)
    assert fingerprint_offline(tmp_path) == embedder(str(tiny_folder)).fingerprint


@pytest.mark.parametrize("lacking", ["model.safetensors", "modules.json", ""])
def test_what_the_hubs_cache_lacks_is_one_line_offline(lacking, tiny_folder, tmp_path):
    if lacking:
        (in_the_hubs_cache(tiny_folder, tmp_path) / lacking).unlink()
    said = fingerprint_offline(tmp_path)
    assert f"{NAME!r} is not on this machine" in said
    assert f"HF_HUB_OFFLINE); bring it into a folder (hf download {NAME} " in said
    assert "\n" not in said
