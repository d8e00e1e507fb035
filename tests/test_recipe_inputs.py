"""What a stage reads beside the recipe: noticed when it changes, found beside the recipe."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from recipe_corpus import FAKE, HUMAN, done, recipe_corpus, recipe_folder, written
from tiny_cross_encoder import tiny_cross_encoder

from llmaug.errors import BackendStopped, PlanError, ResumeRefused, RetrievalError
from llmaug.training.mined import read_mined
from llmaug.training.pairs import Pair, read_pairs, write_pairs
from llmaug.training.recipe import run_recipe
from llmaug.training.recipe_file import read_recipe

pytest.importorskip("sentence_transformers")
SHOTS = "generate: {plan: \"promptagator(examples='shots.jsonl', n=2)\", lm: 'fake:'}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recipe_folder(tmp_path_factory.mktemp("recipe"))


def shots(path: Path, word: str) -> None:
    rows = [{"query": f"{word} {n}", "text": f"a passage {word} of {n}"} for n in range(4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_examples_lie_beside_the_recipe_and_are_noticed_when_they_change(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    folder = recipe_folder(tmp_path / "here")
    shots(folder / "shots.jsonl", "asked")
    path = written(folder, SHOTS + "output: out\n")
    first = run_recipe(read_recipe(path), until="generate")
    assert first.counts["generate"]["queries"] > 0
    assert str(tmp_path) not in json.dumps(read_recipe(path).record())
    folder.rename(tmp_path / "there")
    path = tmp_path / "there" / path.name
    assert run_recipe(read_recipe(path), until="generate").counts == first.counts
    shots(path.parent / "shots.jsonl", "other")
    with pytest.raises(ResumeRefused, match=r"generate was begun with another generate.reads.exam"):
        run_recipe(read_recipe(path), until="generate")


def test_a_changed_cross_encoder_of_the_filter_is_noticed(folder: Path, tmp_path: Path) -> None:
    tiny_cross_encoder(tmp_path / "cross")
    text = FAKE + f"filter: {{plan: \"rerank_first('{tmp_path}/cross', k=2)\"}}\n"
    done(folder, text, output=tmp_path / "out", until="filter")
    shutil.rmtree(tmp_path / "cross")
    tiny_cross_encoder(tmp_path / "cross", seed=1)
    with pytest.raises(ResumeRefused, match=r"filter was begun with another reads\.rerank_first"):
        done(folder, text, output=tmp_path / "out", until="filter")


def test_where_a_model_is_asked_makes_no_difference(folder: Path, tmp_path: Path) -> None:
    from llmaug.testing import MisbehavingServer

    text = (
        "generate: {{plan: 'doc2query()', lm: 'chat:test-model', base_url: '{}', documents: 5}}\n"
    )
    with MisbehavingServer().in_thread() as server:
        done(folder, text.format(server.url), output=tmp_path / "out", until="generate")
    again = text.format("http://127.0.0.1:9/v1")
    assert done(folder, again, output=tmp_path / "out", until="generate")
    with pytest.raises(BackendStopped, match="nothing answers at") as stopped:
        done(folder, again, output=tmp_path / "other", until="generate")
    assert "--base-url" not in str(stopped.value)


def test_queries_of_a_file_for_test_documents_are_left_out_unless_wanted(
    folder: Path, tmp_path: Path
) -> None:
    pairs = [Pair("s1", "of the test", "d80"), Pair("s2", "of another", "d5")]
    pairs += [Pair("s3", "one more", "d6")]
    write_pairs(tmp_path / "pairs.jsonl", pairs)
    text = f"human: true\ntest: true\ngenerate: {{pairs: {tmp_path}/pairs.jsonl}}\n"
    text += "dev: {split: dev}\n"
    result = done(folder, text, output=tmp_path / "out", until="filter")
    assert result.counts["filter"]["dropped"] == {"document of the test": 1}
    assert result.counts["filter"]["written"] == 3
    wanted = text.replace("jsonl}", "jsonl, test_documents: true}")
    result = done(folder, wanted, output=tmp_path / "out", until="filter", fresh_from="filter")
    assert result.counts["filter"]["dropped"] == {}
    assert len(read_pairs(result.folder / "filter" / "pairs.jsonl")) == 52 + 3


def test_other_collections_are_noticed_when_they_change(folder: Path, tmp_path: Path) -> None:
    other = recipe_corpus(tmp_path / "other")
    text = HUMAN.replace("test: true", f"test: {{also: ['{other}']}}")
    text += "train: {batch: 16, epochs: 1}\ngate: false\n"
    done(folder, text, output=tmp_path / "out", until="evaluate")
    path = other / "corpus.jsonl"
    path.write_text(path.read_text().replace("manual", "handbook"))
    with pytest.raises(ResumeRefused, match="evaluate was begun with another also"):
        done(folder, text, output=tmp_path / "out", until="evaluate")


def test_a_human_and_a_written_query_of_the_same_words_share_their_answers(
    folder: Path, tmp_path: Path
) -> None:
    rows = (folder / "corpus" / "queries.jsonl").read_text().splitlines()
    words = json.loads(rows[0])["text"].upper()
    write_pairs(tmp_path / "pairs.jsonl", [Pair("s1", words, "d5"), Pair("s2", "else", "d6")])
    text = f"human: true\ngenerate: {{pairs: {tmp_path}/pairs.jsonl}}\ndev: {{split: dev}}\n"
    text += "mine: {negatives: 98, last: 100, relative_margin: null}\n"  # of 100 documents
    text += "train: {batch: 16, epochs: 1}\n"
    result = done(folder, text, output=tmp_path / "out", until="mine")
    for one in read_mined(result.folder / "mine" / "mined.jsonl"):
        if one.pair.query.casefold() == words.casefold():
            assert not {"d0", "d5"} & {negative.document_id for negative in one.negatives}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {loss: {matryoshka: [64]}}", "matryoshka asks for 64 dimensions.* has 32"),
        ("train: {lora_rank: 4}", "LoRA finds no attention"),
        ("train: {curriculum: cyclic}\nmine: false", "curriculum cyclic orders pairs by"),
        ("train: {loss: {distil: 1}}\nmine: false", "loss.distil needs a teacher"),
    ],
)
def test_what_the_model_cannot_do_is_said_before_a_query_is_written(
    folder: Path, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        done(folder, FAKE + text + "\n", output=tmp_path / "out")
    assert not list(tmp_path.glob("out/*/"))


def test_a_model_that_is_modulated_already_is_not_modulated_again(
    folder: Path, tmp_path: Path
) -> None:
    text = "human: true\ngate: false\ndev: false\ntrain: {batch: 16, modulation: slr}\n"
    made = done(folder, text, output=tmp_path / "out", until="train")
    again = written(folder, text, name="again.yaml")
    again.write_text(
        again.read_text().replace("model: base", f"model: {made.folder}/train/model")
        + f"output: {tmp_path}/again\n"
    )
    with pytest.raises(PlanError, match="has a lexical modulation already"):
        run_recipe(read_recipe(again))
    assert not (tmp_path / "again").exists()


def test_a_refused_leak_names_the_key_of_the_recipe(tmp_path: Path) -> None:
    folder = recipe_folder(tmp_path)
    path = folder / "corpus" / "queries.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[3]["text"] = rows[80]["text"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(RetrievalError, match=r"with human: \{leaks: drop\}, or train on them"):
        done(folder, HUMAN, output=tmp_path / "out")
