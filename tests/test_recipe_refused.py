"""What stops a recipe: in one line, before anything is lost or paid for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from recipe_corpus import FAKE, HUMAN, done, recipe_folder

from llmaug.errors import (
    LlmaugError,
    ModelError,
    ResumeRefused,
    RetrievalError,
    TextError,
)
from llmaug.testing import MisbehavingServer
from llmaug.training.learnable import check_pairs
from llmaug.training.ledger import MANIFEST
from llmaug.training.mined import MinedPair, Scores

pytest.importorskip("sentence_transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recipe_folder(tmp_path_factory.mktemp("recipe"))


@pytest.fixture
def own(tmp_path: Path, folder: Path) -> Path:
    """A corpus that a test may change."""
    shutil.copytree(folder / "corpus", tmp_path / "corpus")
    shutil.copytree(folder / "base", tmp_path / "base")
    return tmp_path


def leaking(folder: Path) -> None:
    """Give two training queries the words of test queries."""
    path = folder / "corpus" / "queries.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for train, test in ((3, 80), (4, 81)):
        rows[train]["text"] = rows[test]["text"].upper()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def served(server: MisbehavingServer) -> str:
    return (
        f"generate: {{plan: 'doc2query(n=2)', lm: 'chat:test-model', base_url: '{server.url}'}}\n"
    )


def said(error: pytest.ExceptionInfo[LlmaugError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_leak_is_refused_before_a_model_is_asked_and_before_anything_is_lost(own: Path) -> None:
    with MisbehavingServer().in_thread() as server:
        done(own, HUMAN + served(server), output=own / "out", until="generate")
        asked, before = server.requests, (own / "out" / MANIFEST).read_bytes()
        assert asked > 0
        leaking(own)
        for options in ({"fresh": True}, {"fresh_from": "generate"}, {}):
            with pytest.raises(RetrievalError) as refused:
                done(own, HUMAN + served(server), output=own / "out", **options)
            assert "2 of 52 training queries are too close" in said(refused)
            assert "--allow-leakage" in said(refused)
        assert server.requests == asked
    assert (own / "out" / MANIFEST).read_bytes() == before


@pytest.mark.parametrize(
    ("text", "allowed", "kept"),
    [
        (HUMAN, True, 52),
        (HUMAN.replace("human: true", "human: {leaks: drop}"), False, 50),
        (HUMAN.replace("human: true", "human: {test_documents: false}"), True, 52),
    ],
)
def test_leaks_are_dropped_or_allowed_and_counted(
    own: Path, text: str, allowed: bool, kept: int
) -> None:
    leaking(own)
    result = done(own, text, output=own / "out", until="filter", allow_leakage=allowed)
    counts = result.counts["filter"]
    assert counts["human"] == kept
    assert counts["human_dropped"] == ({} if allowed else {"leak: same words": 2})
    assert counts["leakage"] == ({"same words": 2} if allowed else {})


def test_an_allowed_leak_stands_in_the_card(own: Path) -> None:
    leaking(own)
    result = done(own, HUMAN, output=own / "out", allow_leakage=True)
    assert result.model is not None
    card = (result.model / "README.md").read_text()
    assert "Queries near those of the test, same words: 2." in card
    with pytest.raises(ResumeRefused, match="allow_leakage"):
        done(own, HUMAN, output=own / "out")


def test_no_query_survives(folder: Path, tmp_path: Path) -> None:
    text = FAKE + "filter: {plan: 'length(max_ratio=0.001)', near: 0.9}\n"
    with pytest.raises(RetrievalError) as stopped:
        done(folder, text, output=tmp_path / "out")
    assert "no training pair is left after the filters (" in said(stopped)
    assert "length>0.001 192" in said(stopped)


def test_numbers_that_blow_up_name_their_step(folder: Path, tmp_path: Path) -> None:
    text = "human: true\ntrain: {learning_rate: 1e30, batch: 8, clip: 0, checkpoint: 1}\n"
    with pytest.raises(RetrievalError, match=r"at step \d+ of 6, and training stopped") as stopped:
        done(folder, text, output=tmp_path / "out")
    assert "--fresh-from train" in said(stopped)
    left = [path.name for path in (tmp_path / "out").glob("train/work/training/checkpoints/*")]
    assert len(left) == 1
    assert left[0] in said(stopped)
    assert done(folder, "human: true\n", output=tmp_path / "out", fresh_from="train").model


@pytest.mark.parametrize(
    ("name", "new", "split"), [("corpus", "text", ""), ("queries", "text", "human.queries")]
)
def test_a_changed_corpus_is_refused(own: Path, name: str, new: str, split: str) -> None:
    done(own, HUMAN, output=own / "out", until="filter")
    path = own / "corpus" / f"{name}.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[7][new] += " anew"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    what = split or "corpus"
    stage = "filter" if split else "base"
    with pytest.raises(ResumeRefused, match=rf"{stage} was begun with another {what}: .*--fresh-f"):
        done(own, HUMAN, output=own / "out")
    assert done(own, HUMAN, output=own / "out", fresh_from=stage, until="filter")


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("corpus: nowhere\nmodel: base\nhuman: true\n", TextError, "nowhere does not exist"),
        ("corpus: corpus\nmodel: ./nomodel\nhuman: true\n", ModelError, "no model '.*nomodel'"),
        ("corpus: corpus\nmodel: fake\nhuman: true\n", ModelError, "fake has no weights here"),
        ("corpus: corpus\nmodel: served:x\nhuman: true\n", ModelError, "no weights here to train"),
        ("corpus: corpus\nmodel: base\nhuman: {split: tarin}\n", TextError, "did you mean train"),
        (HUMAN.replace("dev}", "dve}"), TextError, "no split 'dve'; did you mean dev"),
        (HUMAN.replace("test: true", "test: {also: [nowhere]}"), TextError, "nowhere does not"),
        (HUMAN + "mine: {teacher: ./nocross}\n", ModelError, "nocross is not a model's folder"),
        ("generate: {pairs: nowhere.jsonl}\n", TextError, "nowhere.jsonl cannot be read"),
        ("generate: {plan: doc2query(), lm: 'fkae:'}\n", LlmaugError, "did you mean fake"),
        (FAKE.replace("}", ", lm_options: {wndow: 3}}"), LlmaugError, "no option 'wndow'"),
    ],
)
def test_what_is_missing_is_said_first(
    folder: Path, tmp_path: Path, text: str, kind: type[LlmaugError], message: str
) -> None:
    if text.startswith("corpus:"):
        from llmaug.training.recipe import run_recipe
        from llmaug.training.recipe_file import read_recipe

        (folder / "bad.yaml").write_text(text + f"output: {tmp_path}/out\n")
        with pytest.raises(kind, match=message) as refused:
            run_recipe(read_recipe(folder / "bad.yaml"))
    else:
        with pytest.raises(kind, match=message) as refused:
            done(folder, text, output=tmp_path / "out")
    said(refused)
    assert not list(tmp_path.glob("out/*/"))


def test_unknown_documents_in_pairs(folder: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    rows: list[dict[str, Any]] = [
        {"query_id": f"s{n}", "query": f"asked {n}", "document_id": f"d{n}"} for n in (1, 2, 777)
    ]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(RetrievalError, match=r"1 of 3 .* lacks, the first for 'd777'") as refused:
        done(folder, f"generate: {{pairs: {pairs}}}\n", output=tmp_path / "out")
    said(refused)


def test_pairs_without_a_teacher_are_found_before_training() -> None:
    from small_training import mined_pairs, small_settings

    mined = [*mined_pairs(10, teacher=True), *mined_pairs(12)[10:]]
    bare = MinedPair(mined[0].pair, Scores(teacher=0.5), ())
    for loss in ({"distil": 1.0}, {"margin_mse": 1.0}, {"mask_ratio": 0.9}):
        settings = small_settings(loss=loss)
        check_pairs(mined[:10], settings)
        with pytest.raises(RetrievalError, match=r"2 of 12 pairs lack them, the first .*'q10'"):
            check_pairs(mined, settings)
        with pytest.raises(RetrievalError, match="2 of 2 pairs lack them"):
            check_pairs([bare, bare], settings)
