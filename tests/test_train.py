from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_training import DOCUMENTS, mined_pairs, small_settings, tensors_of
from tiny_retriever import tiny_retriever

import llmaug as la
from llmaug.errors import ModelError, PlanError, RetrievalError
from llmaug.training.mined import MinedPair
from llmaug.training.settings import TrainingSettings
from llmaug.training.train import Trained, train

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_retriever(tmp_path_factory.mktemp("base"))


def trained(base: str | Path, folder: Path, **options: Any) -> Trained:
    given = {"mined": mined_pairs(), "settings": small_settings(), **options}
    return train(base, given.pop("mined"), documents=DOCUMENTS.__getitem__, folder=folder, **given)


def test_what_is_learned_loads_as_the_base_does(
    base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[tuple[int, int]] = []
    done = trained(
        base, tmp_path / "out", progress=lambda step, steps, loss: told.append((step, steps))
    )
    assert told == [(step, 20) for step in range(1, 21)]
    assert (done.steps, done.pairs, len(done.losses)) == (20, 80, 20)
    assert np.mean(done.losses[-5:]) < np.mean(done.losses[:5])
    assert done.pairs_per_second == done.pairs / done.seconds > 0
    assert capfd.readouterr() == ("", "")
    files = {path.suffix for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert files == {".safetensors", ".json", ""}  # no pickles, and the lock
    assert {path.name for path in base.iterdir()} >= {path.name for path in done.model.iterdir()}
    texts = list(DOCUMENTS.values())
    old, new = (la.embedder(str(folder)).encode(texts) for folder in (base, done.model))
    assert old.shape == new.shape
    assert not np.allclose(old, new, atol=1e-3)


def test_a_learning_rate_of_next_to_nothing_is_the_base(base: Path, tmp_path: Path) -> None:
    done = trained(base, tmp_path / "out", settings=small_settings(learning_rate=1e-30))
    before, after = tensors_of(base), tensors_of(done.model)
    assert before.keys() == after.keys()
    for name in before:
        torch.testing.assert_close(before[name], after[name], atol=1e-25, rtol=0)


@pytest.mark.parametrize("dropout", [True, False])
def test_dropout_can_be_switched_off(base: Path, tmp_path: Path, dropout: bool) -> None:
    # At this learning rate the first batch of a second epoch of the same order has the same loss.
    still = {"learning_rate": 1e-30, "epochs": 1, "batch": 40, "dropout": dropout}
    first, second = (
        trained(base, tmp_path / str(seed), settings=small_settings(seed=seed, **still)).losses[0]
        for seed in (0, 1)
    )
    assert (first == pytest.approx(second, abs=1e-5)) is not dropout


def test_a_model_of_static_embeddings_is_trained(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = {word for text in DOCUMENTS.values() for word in text.split()} | {"which", "is"}
    tokenizer = Tokenizer(WordLevel({"?": 0} | {w: n for n, w in enumerate(sorted(words), 1)}, "?"))
    tokenizer.pre_tokenizer = Whitespace()
    torch.manual_seed(0)
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=16)])
    model.save(str(tmp_path / "static"), create_model_card=False)
    settings = small_settings(learning_rate=0.05, epochs=5)
    done = trained(tmp_path / "static", tmp_path / "out", settings=settings)
    assert np.mean(done.losses[-10:]) < 0.7 * np.mean(done.losses[:5])
    assert la.embedder(str(done.model)).encode(["the film"]).shape == (1, 16)


@pytest.mark.parametrize(
    ("settings", "mined", "message"),
    [
        ({}, [], "needs 2 pairs at least, and there are 0"),
        ({}, mined_pairs(1), "needs 2 pairs at least, and there are 1"),
        ({"batch": 1}, mined_pairs(negatives=0), "no negatives to learn from"),
        ({"loss": {"in_batch": False}}, mined_pairs(negatives=0), "no negatives to learn from"),
        ({}, mined_pairs(3) + mined_pairs(1, negatives=1), "'q0' .* has 1 negatives, others have"),
        ({"ratio": 1.0}, mined_pairs()[1::2], "no pair is human"),
        ({"curriculum": "cyclic"}, mined_pairs(negatives=0), "needs the dense score"),
        ({"loss": {"distil": 1.0}}, mined_pairs(), "mine with a teacher"),
    ],
)
def test_nothing_to_learn_from(
    tmp_path: Path, settings: dict[str, Any], mined: list[MinedPair], message: str
) -> None:
    with pytest.raises(RetrievalError, match=message):
        trained("nowhere", tmp_path / "out", settings=small_settings(**settings), mined=mined)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch": 0},
        {"steps": 0},
        {"checkpoint": 0},
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
        {"warmup": 1.0},
        {"clip": -1.0},
        {"ratio": -0.5},
        {"curriculum": "hard_to_easy"},
    ],
)
def test_settings_that_are_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match=next(iter(wrong))):
        TrainingSettings(**wrong)


def test_a_base_without_weights_here(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="fake has no weights here to train"):
        trained("fake", tmp_path / "out")


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_a_loss_that_is_no_number_stops_training(base: Path, tmp_path: Path, clip: float) -> None:
    settings = small_settings(learning_rate=1e25, checkpoint=1, clip=clip)
    with pytest.raises(RetrievalError, match=r"is (nan|inf) at step \d+ of 20") as error:
        trained(base, tmp_path / "out", settings=settings)
    kept = [path.name for path in (tmp_path / "out" / "checkpoints").iterdir()]
    assert len(kept) == 1
    assert f"last good state is in {tmp_path / 'out' / 'checkpoints' / kept[0]}" in str(error.value)
    state = tensors_of(tmp_path / "out" / "checkpoints")
    assert all(torch.isfinite(value.float()).all() for value in state.values())
    assert not (tmp_path / "out" / "model").exists()


def test_the_batch_is_embedded_as_the_embedder_does(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    from llmaug.training.collator import Collator

    folder = tiny_retriever(tmp_path)
    config = folder / "config_sentence_transformers.json"
    kept = json.loads(config.read_text())
    kept["prompts"] = {"query": "the question: ", "document": "a film: "}
    config.write_text(json.dumps(kept))
    found = la.embedder(str(folder))
    model = SentenceTransformer(str(folder), local_files_only=True, device="cpu").eval()
    mined = mined_pairs(6)
    long, half = "film " * 100_000, "half \ud800 of a pair"
    mined[0] = replace(mined[0], pair=replace(mined[0].pair, query=half))
    documents = DOCUMENTS | {"d1": long}
    collate = Collator(
        model,
        mined,
        documents=documents.__getitem__,
        settings=TrainingSettings(document_tokens=512),  # more than the model reads
        prompts={side: found.prompt(side) for side in ("query", "document")},
        known={"q0": ["d3", "never seen"]},
    )
    batch = collate([0, 4])
    features, label = batch["features"], batch["label"]
    assert features[0]["task"] == "query"
    assert [len(column["input_ids"]) for column in features] == [2, 2, 2, 2]
    with torch.no_grad():
        vectors = [model(dict(column))["sentence_embedding"].numpy() for column in features]
    queries = found.encode([mined[0].pair.query, mined[4].pair.query], side="query")
    negatives = found.encode([documents["d1"], documents["d5"]], side="document")
    np.testing.assert_allclose(vectors[0], queries, atol=1e-6)
    np.testing.assert_allclose(vectors[2], negatives, atol=1e-6)
    numbers = label["documents"].tolist()
    assert [len(row) for row in numbers] == [3, 3]
    assert label["positives"].tolist() == [[numbers[0][0], numbers[0][2] + 1], [numbers[1][0], -1]]
    assert label["teacher"].isnan().all()
    assert label["teacher"].dtype == torch.float32
