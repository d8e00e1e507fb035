"""Recipes: what one file says, and the line of what it says wrongly."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from llmaug.errors import PlanError
from llmaug.retrieval.lexical import bm25
from llmaug.retrieval.settings import Settings
from llmaug.training.recipe_file import Recipe, read_recipe
from llmaug.training.recipe_sections import Dev, Evaluate, Filter, Generate, Human, Measured
from llmaug.training.settings import GateSettings, LossSettings

SMALL = "corpus: corpus\nmodel: minilm\nhuman: {split: train}\n"
SYNTHETIC = """\
corpus: corpus
model: minilm
generate:
  plan: doc2query(n=2) >> dedupe()
  lm: "fake:"
"""
WHOLE = """\
corpus: data/scifact
model: minilm
output: tuned
seed: 7
generate:
  plan: "doc2query(n=2) >>   dedupe()"
  lm: transformers:smollm2-135m
  lm_options: {device: cpu, depth: [1, 2]}
  window: 8
  documents: 2000
  test_documents: false
filter:
  plan: roundtrip(k=20)
  near: 0.95
  per_document: 4
  leakage_cosine: 0.95
  leakage_ngram: 8
human: {split: train}
dev: {share: 0.2, pool: 2000, of: human}
test: {split: test, also: [../cranfield, "irds:vaswani"]}
mine: {negatives: 6, sources: [dense], margin: null, teacher: fusion}
train:
  learning_rate: 5e-5
  clip: 1
  ratio: [0, 0.5, 1]
  loss: {distil: 1, matryoshka: [64, 128]}
gate: {weights: [0.5, 1.0], alpha: 0.1}
saturation: [0.25, 0.5, 1.0]
index: {factory: Flat, lexical: "bm25(k1=1.2)"}
evaluate: {measures: [nDCG@10, R@100]}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_whole_recipe(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, WHOLE))
    assert recipe.corpus == str(tmp_path / "data/scifact")
    assert recipe.output == str(tmp_path / "tuned")
    assert recipe.generate == Generate(
        plan="doc2query(n=2) >> dedupe()",
        lm="transformers:smollm2-135m",
        lm_options={"device": "cpu", "depth": [1, 2]},
        window=8,
        documents=2000,
    )
    assert recipe.filter == Filter("roundtrip(k=20)", None, 0.95, 4, 0.95, 8)
    assert recipe.human == Human("train")
    assert recipe.dev == Dev(share=0.2, pool=2000, of="human")
    assert recipe.test == Measured("test", (str(tmp_path / "../cranfield"), "irds:vaswani"))
    assert recipe.mine is not None
    assert (recipe.mine.negatives, recipe.mine.sources, recipe.mine.margin) == (6, ("dense",), None)
    assert recipe.teacher == "fusion"
    assert recipe.train.learning_rate == 5e-5
    assert recipe.train.loss == LossSettings(distil=1.0, matryoshka=(64, 128))
    assert (recipe.train.ratio, recipe.train.ratios) == (None, (0.0, 0.5, 1.0))
    assert type(recipe.train.clip) is float
    assert recipe.gate == GateSettings((0.5, 1.0), alpha=0.1, seed=7)
    assert (recipe.mine.seed, recipe.train.seed) == (7, 7)
    assert recipe.saturation == (0.25, 0.5, 1.0)
    assert recipe.index is not None
    assert recipe.index.lexical == bm25(k1=1.2)
    assert recipe.evaluate == Evaluate(("nDCG@10", "R@100"))


def test_smallest_recipe_has_gate_and_dev_on(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, SMALL + "train: {epochs: 2}\n"))
    assert recipe.output == str(tmp_path / "recipe")
    assert recipe.generate is recipe.test is recipe.index is None
    assert recipe.dev == Dev(share=0.2, of="human")
    assert recipe.gate == GateSettings()
    assert recipe.train.epochs == 2


def test_switches(tmp_path: Path) -> None:
    text = SMALL.replace("{split: train}", "true") + "dev: no\ngate: false\nmine: false\n"
    recipe = read_recipe(written(tmp_path, text))
    assert recipe.human == Human()
    assert recipe.dev is recipe.gate is recipe.mine is recipe.teacher is None


def test_a_section_keeps_its_own_seed(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, SMALL + "seed: 3\ntrain: {seed: 5}\n"))
    assert recipe.mine is not None
    assert recipe.gate is not None
    assert (recipe.mine.seed, recipe.train.seed, recipe.gate.seed) == (3, 5, 3)


def test_synthetic_dev_and_index_follow(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, SYNTHETIC + "test: true\ndev: {count: 200}\n"))
    assert recipe.dev == Dev(count=200, of="synthetic")
    assert recipe.index == Settings()


def test_paths_are_taken_from_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "start").mkdir()
    (tmp_path / "lm").mkdir()
    (tmp_path / "minilm").mkdir()  # the short name wins
    text = "corpus: hf:BeIR/scifact\nmodel: start\nhuman: true\nmine: {teacher: org/reranker}\n"
    recipe = read_recipe(written(tmp_path, text + "generate: {plan: keep(), lm: 'vllm:lm'}\n"))
    assert recipe.corpus == "hf:BeIR/scifact"
    assert recipe.model == str(tmp_path / "start")
    assert recipe.teacher == "org/reranker"
    assert recipe.generate is not None
    assert recipe.generate.lm == f"vllm:{tmp_path / 'lm'}"
    assert read_recipe(written(tmp_path, SMALL)).model == "minilm"
    again = read_recipe(written(tmp_path, SMALL + "generate: {pairs: made.jsonl}\n"))
    assert again.generate == Generate(pairs=str(tmp_path / "made.jsonl"))


def test_record_is_json_and_moves_with_the_folder(tmp_path: Path) -> None:
    records = []
    for name in ("here", "there"):
        folder = tmp_path / name
        (folder / "lm").mkdir(parents=True)
        text = WHOLE.replace("smollm2-135m", "lm").replace("output: tuned", f"output: {name}")
        records.append(json.dumps(read_recipe(written(folder, text)).record()))
    assert records[0] == records[1]
    assert str(tmp_path) not in records[0]
    record = json.loads(records[0])
    assert record["corpus"] == "data/scifact"
    assert record["generate"]["lm"] == "transformers:lm"
    assert record["test"]["also"] == ["../cranfield", "irds:vaswani"]
    assert record["index"]["lexical"] == str(bm25(k1=1.2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMALL + "trian: {}\n", ":4: unknown key 'trian'; did you mean train"),
        (
            SMALL + "learning_rate: 1e-5\n",
            ":4: unknown key 'learning_rate'; .*under train$",
        ),
        (SMALL + "train:\n  temperature: 1\n", ":5: .* in train; .* belongs under train.loss$"),
        (SMALL + "train: {corpus: x}\n", ":4: .*corpus belongs at the left edge"),
        (SMALL + "folder: x\n", ":4: unknown key 'folder'"),
        (
            SMALL + "filter: {plan: roundtrip(k=3, of='id'), near: 0.9}\n",
            r":4: unknown key \"of='id'\)\" in filter; put a plan with a comma in quotes",
        ),
        (SMALL + "train: {ratios: [1]}\n", ":4: unknown key 'ratios'"),
        (SMALL + "train:\n  batch: '3'\n", ":5: train.batch is '3', not a whole number"),
        (SMALL + "train: {batch: true}\n", "train.batch is true, not a whole number"),
        (SMALL + "train: {batch: 1.5}\n", "train.batch is 1.5, not a whole number"),
        (SMALL + "train: {clip: .nan}\n", "train.clip is nan, not a number"),
        (
            SMALL + "seed: -1\n",
            ":4: seed is -1; it is a whole number from 0 to 4,294,967,295",
        ),
        (SMALL + "train: {seed: 4294967296}\n", "train: seed is 4294967296"),
        (SMALL + "gate:\n  measure: nDGC@10\n", "gate: no measure is called 'nDGC'; .* nDCG"),
        (SMALL + "train: {dropout: 1}\n", "train.dropout is 1, not true or false"),
        (SMALL + "train: {steps: x}\n", "train.steps is 'x', not a whole number or null"),
        (SMALL + "train: 3\n", ":4: train is 3, not a mapping"),
        (SMALL + "gate: {weights: 1}\n", "gate.weights is 1, not a list, each entry a number"),
        (SMALL + "gate:\n  weights:\n  - 1\n  - x\n", ":7: an entry of gate.weights is 'x'"),
        (SMALL.replace("minilm", "2020-01-01"), ":2: model is 2020-01-01, not a text; .* quotes"),
        (SMALL.replace("minilm", "2020-13-41"), ":2: 2020-13-41: .*; write it in quotes"),
        (SMALL + "train:\n  loss: {head: lin}\n", ":5: train.loss: head is 'lin'; .* linear"),
        (SMALL + "train:\n  epochs: 1\n  curriculum: easy\n", ":6: train: curriculum is 'easy'"),
        (SMALL + "index: {lexical: bm(1)}\n", ":4: .*bm25"),
        (SMALL + "index: {lexical: 3}\n", ":4: lexical is written like bm25"),
        (SMALL + "model: x\n", ":4: model stands there twice"),
        (SMALL + "dev: &a {share: 0.2}\ntest: *a\n", r":5: \*a is an alias"),
        (SMALL + "train: [\n", ":5: not YAML"),
        (SMALL + "train: !!python/name:os.system x\n", "not YAML: could not determine"),
        (SMALL + "? [a, b]\n: 1\n", ":4: a name is a word"),
        (SMALL + f"saturation: {'[' * 50}{']' * 50}\n", ":4: nested more than"),
        (SMALL + f"saturation: {'[' * 5000}{']' * 5000}\n", "nested"),
        ("- a\n", "must be a mapping"),
        ("", "must be a mapping"),
        ("model: minilm\nhuman: true\n", ":1: corpus is missing"),
    ],
)
def test_wrong_files_are_refused_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(PlanError, match=message) as raised:
        read_recipe(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="cannot be read: No such file"):
        read_recipe(tmp_path / "none.yaml")
    path = tmp_path / "bytes.yaml"
    path.write_bytes(b"model: \xff")
    with pytest.raises(PlanError, match="not UTF-8"):
        read_recipe(path)


def test_every_default_fits_its_field(tmp_path: Path) -> None:
    """What a record says can be written into a recipe again."""
    text = SMALL + "generate: {pairs: more.jsonl}\ntrain: {ratio: [0, 0.5]}\n"
    recipe = read_recipe(written(tmp_path, text))
    record = recipe.record()
    record = {name: value for name, value in record.items() if value is not None}
    again = read_recipe(written(tmp_path, json.dumps(record)))
    assert isinstance(again, Recipe)
    assert again == recipe
    assert not re.search(str(tmp_path), json.dumps(record))
