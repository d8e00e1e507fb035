"""Recipes of every kind: whose queries, which filters, which teacher, which dev queries."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from recipe_corpus import FAKE, HUMAN, LEARN, done, recipe_corpus, recipe_folder, static_retriever
from tiny_cross_encoder import tiny_cross_encoder

import llmaug as la
from llmaug.training.from_run import pairs_from_variants
from llmaug.training.mined import read_mined
from llmaug.training.pairs import read_pairs

pytest.importorskip("sentence_transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recipe_folder(tmp_path_factory.mktemp("recipe"))


@pytest.fixture(scope="module")
def cross(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_cross_encoder(tmp_path_factory.mktemp("cross") / "model")


def test_synthetic_queries_alone(folder: Path, tmp_path: Path) -> None:
    result = done(folder, FAKE, output=tmp_path / "out")
    counts = result.counts["filter"]
    assert counts["human"] == 0
    assert counts["dev"] > 20  # a fifth of the synthetic queries
    assert "leakage" not in counts
    assert "index" not in result.counts
    assert result.model is not None
    card = (result.model / "README.md").read_text()
    assert "The dev queries are synthetic" in card
    assert "It was not tested on queries" in card
    assert result.counts["gate"]["weight"] == 0  # nothing to gain: the fake copies the passage


def test_human_queries_and_a_share_of_them_for_dev(folder: Path, tmp_path: Path) -> None:
    text = "human: true\ndev: {share: 0.4, pool: 30}\ntest: true\n"
    result = done(folder, text, output=tmp_path / "out")
    assert (result.counts["filter"]["human"], result.counts["filter"]["dev"]) == (31, 21)
    assert "generate" not in result.counts
    decision = json.loads((result.folder / "gate" / "decision.json").read_text())
    assert decision["dev_documents"] == 30
    assert result.counts["gate"]["weight"] > 0


def test_no_dev_at_all(folder: Path, tmp_path: Path) -> None:
    result = done(folder, "human: true\ndev: false\ngate: false\n", output=tmp_path / "out")
    assert result.model is not None
    assert "dev" not in result.counts["filter"]
    assert not (result.folder / "filter" / "dev.json").exists()


def test_documents_of_dev_queries_are_not_trained_on(folder: Path, tmp_path: Path) -> None:
    text = "human: true\ndev: {share: 0.4}\n" + FAKE
    result = done(folder, text, output=tmp_path / "out", until="filter")
    dev = json.loads((result.folder / "filter" / "dev.json").read_text())
    answers = {id for judged in dev["qrels"].values() for id in judged}
    pairs = read_pairs(result.folder / "filter" / "pairs.jsonl")
    assert not answers & {pair.document_id for pair in pairs}
    assert result.counts["filter"]["dropped"]["document of a dev query"] > 0


def test_dev_queries_choose_the_ratio(folder: Path, tmp_path: Path) -> None:
    learn = LEARN.replace("epochs: 12", "epochs: 6, ratio: [0, 1]")
    lines: list[str] = []
    result = done(
        folder, HUMAN + FAKE + f"train: {learn}\n", output=tmp_path / "out", said=lines.append
    )
    counts = result.counts["train"]
    assert [row["ratio"] for row in counts["sweep"]] == [0, 1]
    assert counts["ratio"] in (0, 1)
    assert any(f"ratio {counts['ratio']:g} chosen" in line for line in lines)
    assert not (result.folder / "train" / "work").exists()
    divergence = result.counts["filter"]["divergence"]
    assert 0.5 < divergence["interval"][0] <= divergence["auc"] <= 1


def test_pairs_that_were_written_before(folder: Path, tmp_path: Path) -> None:
    first = done(folder, FAKE, output=tmp_path / "first", until="generate")
    pairs = first.folder / "generate" / "pairs.jsonl"
    variants = tmp_path / "variants.jsonl"
    plan = la.parse("doc2query(n=2)")
    source = la.text.read(folder / "corpus" / "corpus.jsonl", text="text", id="_id")
    la.augment_file(la.Job(plan, source, variants, backends={"lm": la.backend("fake:")}))
    assert len(pairs_from_variants(variants)) > 100
    for file, name in ((pairs, "again"), (variants, "augmented")):
        text = f"generate: {{pairs: {file}}}\n"
        result = done(folder, text, output=tmp_path / name, until="mine")
        assert result.counts["filter"]["synthetic"] > 50
        moved = file.with_name(f"{name}-moved.jsonl")
        shutil.copyfile(file, moved)  # the same queries elsewhere are the same recipe
        again = done(
            folder, f"generate: {{pairs: {moved}}}\n", output=tmp_path / name, until="mine"
        )
        assert again.counts["mine"] == result.counts["mine"]


def test_filters_of_a_plan_give_scores_and_reasons(
    folder: Path, cross: Path, tmp_path: Path
) -> None:
    text = FAKE + (
        f"filter:\n  plan: roundtrip(k=5) >> not_copied(max=0.99) >> rerank_first('{cross}', k=2)\n"
        "  quantile: 0.25\n  per_document: 1\n"
    )
    result = done(folder, text + "test: true\n", output=tmp_path / "out", until="filter")
    counts = result.counts["filter"]
    assert {"not ranked first", "score in the lowest 25%"} <= counts["dropped"].keys()
    pairs = read_pairs(result.folder / "filter" / "pairs.jsonl")
    assert all(pair.score is not None for pair in pairs)
    assert len({pair.document_id for pair in pairs}) == len(pairs)
    assert counts["written"] == counts["synthetic"] + counts["dev"] + sum(
        counts["dropped"].values()
    )


def test_a_cross_encoder_teaches(folder: Path, cross: Path, tmp_path: Path) -> None:
    own = tmp_path / "cross"
    shutil.copytree(cross, own)
    text = (
        f"human: true\nmine: {{negatives: 2, last: 20, relative_margin: null, teacher: {own}}}\n"
        "train: {batch: 8, epochs: 2, learning_rate: 0.01, loss: {distil: 1, mask_ratio: 0.9}}\n"
    )
    result = done(folder, text, output=tmp_path / "out")
    mined = list(read_mined(result.folder / "mine" / "mined.jsonl"))
    assert all(one.scores.teacher is not None for one in mined)
    assert all(n.scores.teacher is not None for one in mined for n in one.negatives)
    shutil.rmtree(own)
    tiny_cross_encoder(own, seed=1)
    from llmaug.errors import ResumeRefused

    with pytest.raises(ResumeRefused, match=r"stage mine was begun with another mine.teacher"):
        done(folder, text, output=tmp_path / "out")


def test_a_fusion_teaches(folder: Path, tmp_path: Path) -> None:
    text = (
        "human: true\nmine: {negatives: 2, last: 20, relative_margin: null, teacher: fusion}\n"
        "train: {batch: 8, epochs: 1, learning_rate: 0.01, loss: {distil: 1, margin_mse: 0.1}}\n"
    )
    assert done(folder, text, output=tmp_path / "out", until="train").counts["train"]["steps"] == 6


def test_no_mining_trains_with_the_batch_alone(folder: Path, tmp_path: Path) -> None:
    result = done(folder, HUMAN + "mine: false\n", output=tmp_path / "out")
    assert result.counts["mine"]["negatives"] == 0
    assert result.counts["gate"]["weight"] > 0


def test_recipes_share_vectors(folder: Path, tmp_path: Path) -> None:
    text = HUMAN + f"vectors: {tmp_path}/store\n"
    result = done(folder, text, output=tmp_path / "one", until="base")
    assert any((tmp_path / "store").iterdir())
    told: list[tuple[str, int]] = []
    done(
        folder,
        text,
        output=tmp_path / "two",
        until="base",
        progress=lambda s, d, _: told.append((s, d)),
    )
    assert not (result.folder / "base" / "index" / "vectors").exists()


def test_other_collections_are_measured_too(folder: Path, tmp_path: Path) -> None:
    other = recipe_corpus(tmp_path / "other")
    same = recipe_corpus(tmp_path / "elsewhere" / "other")  # of the same name
    text = HUMAN.replace("test: true", f"test: {{also: ['{other}', '{same}']}}")
    result = done(folder, text, output=tmp_path / "out")
    assert result.model is not None
    tests = json.loads((result.folder / "evaluate" / "results.json").read_text())
    assert [one["collection"] for one in tests] == ["corpus", "other", "other (3)"]
    assert tests[0]["gains"] == tests[1]["gains"]
    card = (result.model / "README.md").read_text()
    assert "other, 24 queries:" in card
    assert str(tmp_path) not in card
    names = {path.name for path in (result.folder / "evaluate").iterdir()}
    assert len([name for name in names if name.endswith(".trec")]) == 15
    assert {"corpus.base.trec", "corpus.tuned.trec", "other.tuned.trec"} <= names


def test_a_corpus_with_one_split_alone(tmp_path: Path) -> None:
    recipe_corpus(tmp_path / "corpus")
    static_retriever(tmp_path / "base")
    for split in ("dev", "test"):
        (tmp_path / "corpus" / "qrels" / f"{split}.tsv").unlink()
    assert done(tmp_path, "human: true\n" + FAKE, output=tmp_path / "out", until="mine")


def test_hostile_texts_reach_the_card_harmless(tmp_path: Path) -> None:
    recipe_corpus(tmp_path / "corpus")
    static_retriever(tmp_path / "base")
    bad = "<|im_start|>system\n[x](javascript:1) ![](http://a.b/c) | --- | `rm` ---\nlicense: mit"
    ids = ["../../../etc/d0", 'd"1"\\2', "d\u200b2", "a" * 300, "id|with|<b>"]
    path = tmp_path / "corpus" / "corpus.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row, id in zip(rows, ids, strict=False):
        row.update(_id=id, title=bad, text=f"{row['text']} {bad}")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = {one for one in tmp_path.rglob("*") if one.is_file()}
    result = done(tmp_path, FAKE + "saturation: [1]\ntest: true\n", output=tmp_path / "out")
    assert result.model is not None
    card = (result.model / "README.md").read_text()
    assert "javascript:" not in card
    assert "<|im_start|>" not in card
    assert card.startswith("---\nlibrary_name: sentence-transformers\n")
    made = {one for one in tmp_path.rglob("*") if one.is_file()} - before
    assert {one.relative_to(tmp_path).parts[0] for one in made} == {"out", "out.yaml"}


def test_a_weak_base_has_less_to_say_as_a_teacher(folder: Path, tmp_path: Path) -> None:
    scores = {}
    for weight in (0, 1):
        text = f"human: true\nmine: {{negatives: 2, teacher: fusion, dense_weight: {weight}}}\n"
        output = tmp_path / str(weight)
        done(folder, text + "dev: false\ngate: false\n", output=output, until="mine")
        mined = read_mined(output / "mine" / "mined.jsonl")
        scores[weight] = [one.scores.teacher for one in mined]
    assert len(scores[0]) == len(scores[1]) > 0
    assert scores[0] != scores[1]
