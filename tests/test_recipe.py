"""A whole recipe: what it leaves, and what it does when it is asked again."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from recipe_corpus import FAKE, HUMAN, done, recipe_folder, written

import llmaug as la
from llmaug.errors import PlanError, ResumeRefused, RunBusy
from llmaug.training.ledger import Ledger
from llmaug.training.mined import read_mined
from llmaug.training.pairs import read_pairs
from llmaug.training.recipe import STAGES, RecipeResult, run_recipe
from llmaug.training.recipe_file import read_recipe

pytest.importorskip("sentence_transformers")
WHOLE = HUMAN + FAKE + "saturation: [0.5, 1.0]\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recipe_folder(tmp_path_factory.mktemp("recipe"))


@pytest.fixture(scope="module")
def whole(folder: Path) -> RecipeResult:
    return done(folder, WHOLE, output=folder / "whole")


@pytest.fixture(scope="module")
def human(folder: Path) -> RecipeResult:
    return done(folder, HUMAN, output=folder / "human")


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder with its time and its size."""
    found = {path: path.stat() for path in folder.rglob("*") if path.is_file()}
    return {str(path): (one.st_mtime_ns, one.st_size) for path, one in found.items()}


def test_a_model_that_learned_goes_out_with_all_its_numbers(whole: RecipeResult) -> None:
    assert whole.model is not None
    assert whole.counts["gate"]["weight"] == 1.0
    results = json.loads((whole.folder / "evaluate" / "results.json").read_text())
    values = {row["system"]: row["values"]["nDCG@10"] for row in results[0]["rows"]}
    assert values["base"][0] < 0.2 < 0.8 < values["tuned"][0]
    assert values["tuned"][1] <= values["tuned"][0] <= values["tuned"][2]
    card = (whole.model / "README.md").read_text()
    for value in (*values["base"], *values["tuned"]):
        assert f"{value:.4f}" in card
    for text in ("## Gate", "## Trained on", "## Saturation", "](saturation.png)", "human", "fake"):
        assert text in card, text
    assert str(whole.folder.parent) not in card
    assert (whole.model / "saturation.png").read_bytes()[:4] == b"\x89PNG"
    embedder = la.embedder(str(whole.model))
    kettle, lamp = embedder.encode(["kettle leaks", "lamp fades"], side="document")
    (boiler,) = embedder.encode(["boiler drips"], side="query")
    assert boiler @ kettle > 0.5 > boiler @ lamp


def test_every_stage_leaves_what_the_next_reads(whole: RecipeResult) -> None:
    manifest = json.loads((whole.folder / "manifest.json").read_text())
    assert list(manifest["stages"]) == list(STAGES)
    pairs = read_pairs(whole.folder / "filter" / "pairs.jsonl")
    counts = whole.counts["filter"]
    assert counts["human"] == 52
    assert counts["written"] == counts["synthetic"] + sum(counts["dropped"].values())
    assert len(pairs) == 52 + counts["synthetic"]
    mined = list(read_mined(whole.folder / "mine" / "mined.jsonl"))
    assert [one.pair for one in mined] == pairs
    assert all(len(one.negatives) == 2 for one in mined)
    assert not list(whole.folder.glob("*/work"))
    deciding = json.loads((whole.folder / "filter" / "dev.json").read_text())
    answers = {id for judged in deciding["qrels"].values() for id in judged}
    assert not answers & {pair.document_id for pair in pairs if pair.origin == "human"}
    tests = {f"d{number}" for number in range(76, 100)}
    assert not tests & {pair.document_id for pair in pairs}


def test_the_curve_ends_at_what_was_trained(whole: RecipeResult) -> None:
    points = whole.counts["saturation"]["points"]
    assert [point[0] for point in points] == [50, whole.counts["filter"]["synthetic"]]
    decision = json.loads((whole.folder / "gate" / "decision.json").read_text())
    assert points[-1][1] == pytest.approx(decision["candidates"][-1]["mean"])
    assert whole.counts["saturation"]["base"] == pytest.approx(decision["base"])


def test_a_second_run_does_nothing_and_says_the_same(folder: Path, whole: RecipeResult) -> None:
    lines: list[list[str]] = [[], []]
    before = state(whole.folder)
    for said in lines:
        again = done(folder, WHOLE, output=whole.folder, said=said.append)
    assert state(whole.folder) == before
    assert lines[0] == lines[1]
    assert again.counts.keys() == whole.counts.keys() == STAGES.keys()
    told = ["index", "evaluate", "train", "mine", "saturation", "filter"]
    assert [again.counts[name] for name in told] == [whole.counts[name] for name in told]


def test_no_text_is_embedded_twice_without_need(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmaug.embedders.sentence import SentenceEmbedder

    asked: list[tuple[str, str | None]] = []
    encode = SentenceEmbedder.encode

    def counting(embedder: Any, texts: list[str], *given: Any, **options: Any) -> Any:
        asked.extend((text, options.get("side")) for text in texts)
        return encode(embedder, texts, *given, **options)

    monkeypatch.setattr(SentenceEmbedder, "encode", counting)
    done(folder, HUMAN + FAKE, output=tmp_path / "out", until="mine")
    assert max(Counter(asked).values()) == 2  # the test beside human and beside written queries
    asked.clear()
    done(folder, HUMAN + FAKE, output=tmp_path / "out", until="mine")
    assert asked == []


def test_a_run_stops_where_it_is_told_and_goes_on_later(folder: Path, tmp_path: Path) -> None:
    result = done(folder, HUMAN, output=tmp_path / "out", until="mine")
    assert result.model is None
    assert [path.name for path in sorted((tmp_path / "out").iterdir()) if path.is_dir()] == [
        "base",
        "filter",
        "mine",
    ]
    before = state(tmp_path / "out" / "mine")
    assert done(folder, HUMAN, output=tmp_path / "out", until="train").model is None
    assert state(tmp_path / "out" / "mine") == before


def test_the_same_recipe_makes_the_same_model(folder: Path, human: RecipeResult) -> None:
    other = done(folder, HUMAN, output=folder / "other")
    for name in ("mine/mined.jsonl", "filter/pairs.jsonl", "model/model.safetensors"):
        assert (other.folder / name).read_bytes() == (human.folder / name).read_bytes()


def test_a_changed_setting_is_refused_until_its_stages_are_thrown_away(
    folder: Path, human: RecipeResult
) -> None:
    other = HUMAN + "gate: {alpha: 0.01}\n"
    with pytest.raises(ResumeRefused, match=r"stage gate .* another gate.alpha: 0.05 .*from gate"):
        done(folder, other, output=human.folder)
    before = state(human.folder / "train")
    lines: list[str] = []
    done(folder, other, output=human.folder, fresh_from="gate", said=lines.append)
    assert state(human.folder / "train") == before
    assert any("p of at most 0.01" in line or "weight" in line for line in lines)
    done(folder, HUMAN, output=human.folder, fresh=True, until="base")
    assert not (human.folder / "train").exists()
    done(folder, HUMAN, output=human.folder)


def test_without_a_gate_the_tuned_model_goes_out_and_its_card_says_so(
    folder: Path, tmp_path: Path
) -> None:
    result = done(
        folder,
        HUMAN + "gate: false\n",
        output=tmp_path / "out",
    )
    assert result.model is not None
    tuned = (result.folder / "train" / "model" / "model.safetensors").read_bytes()
    assert (result.model / "model.safetensors").read_bytes() == tuned
    assert "No gate decided: the model may be worse" in (result.model / "README.md").read_text()


def test_few_dev_queries_keep_the_base(folder: Path, tmp_path: Path) -> None:
    text = "human: true\ndev: {count: 5}\n"
    result = done(folder, text, output=tmp_path / "out")
    assert result.model is not None
    assert result.counts["gate"]["weight"] == 0
    assert "5 dev queries cannot decide" in result.counts["gate"]["reason"]
    assert "too few dev queries to decide" in (result.model / "README.md").read_text()
    base = (folder / "base" / "model.safetensors").read_bytes()
    assert (result.model / "model.safetensors").read_bytes() == base


@pytest.mark.parametrize(("name", "value"), [("until", "trian"), ("fresh_from", "trian")])
def test_unknown_stages_touch_nothing(folder: Path, tmp_path: Path, name: str, value: str) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(PlanError, match="no stage 'trian'; did you mean train"):
        done(folder, HUMAN, output=tmp_path / "out", **options)
    with pytest.raises(PlanError, match="leave out fresh, or fresh_from"):
        done(folder, HUMAN, output=tmp_path / "out", fresh=True, fresh_from="mine")
    assert not (tmp_path / "out").exists()


def test_only_one_process_works_in_a_folder(folder: Path, tmp_path: Path) -> None:
    with (
        Ledger(tmp_path / "out", {}),
        pytest.raises(RunBusy, match=r"another process works in this folder"),
    ):
        done(folder, HUMAN, output=tmp_path / "out")


def test_a_folder_may_move_with_its_recipe(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    path = written(recipe_folder(tmp_path / "here"), HUMAN + "output: out\n")
    run_recipe(read_recipe(path), until="train")
    (tmp_path / "here").rename(tmp_path / "there")
    before = state(tmp_path / "there" / "out" / "train")
    run_recipe(read_recipe(tmp_path / "there" / path.name), until="train")
    assert state(tmp_path / "there" / "out" / "train") == before
