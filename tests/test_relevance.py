"""Cross-encoders for ranking: scores of pairs, in order, from a folder that can be trusted."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_cross_encoder import relevance_alone, tiny_cross_encoder

from llmaug.errors import ModelError
from llmaug.steps.relevance import Relevance, check_folder, fingerprint

PAIRS = [
    ("kettle", "the kettle boils water"),
    ("dogs and their hair", "the quiet vacuum cleaner picks up dogs and their hair"),
    ("water", "water"),
    ("", "the machine"),
    ("kettle", ""),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_cross_encoder(tmp_path_factory.mktemp("relevance"))


def test_scores_are_the_raw_outputs_in_the_order_given(folder: Path) -> None:
    scores = Relevance(folder).scores(PAIRS)
    assert (scores.shape, scores.dtype) == ((len(PAIRS),), np.float32)
    assert scores == pytest.approx([relevance_alone(folder, *pair) for pair in PAIRS], abs=1e-4)
    assert np.ptp(scores) > 0.1  # the random model tells pairs apart
    assert Relevance(folder).scores([]).shape == (0,)


def test_more_pairs_than_fit_one_pass_keep_their_order(folder: Path) -> None:
    model = Relevance(folder)
    pairs = [PAIRS[i % len(PAIRS)] for i in range(100)]
    assert model.scores(pairs) == pytest.approx(np.resize(model.scores(PAIRS), 100), abs=1e-4)


def test_roots_in_several_loops_get_their_own_scores(folder: Path) -> None:
    model = Relevance(folder)
    alone = model.scores(PAIRS)

    async def all_at_once() -> list[np.ndarray]:
        return await asyncio.gather(*(model([pair]) for pair in PAIRS), model([]))

    for _ in range(2):
        *together, nothing = asyncio.run(all_at_once())
        assert np.concatenate(together) == pytest.approx(alone, abs=1e-4)
        assert nothing.shape == (0,)


@pytest.mark.parametrize("text", ["water " * 5000, "\ud800", "\u200b🙂", "x" * 100_000])
def test_odd_and_long_texts_get_a_score(folder: Path, text: str) -> None:
    assert np.isfinite(Relevance(folder).scores([("kettle", text), (text, "kettle")])).all()


def test_the_longer_text_of_a_long_pair_is_cut(folder: Path) -> None:
    there, cut = Relevance(folder).scores(
        [("the kettle", "water " * 27), ("the kettle", "water " * 500)]
    )
    assert there == pytest.approx(cut, abs=1e-4)


def changed(folder: Path, copy: Path, **settings: object) -> Path:
    shutil.copytree(folder, copy)
    path = copy / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    return copy


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"architectures": ["BertModel"]}, "give a cross-encoder trained for ranking passages"),
        ({"id2label": {"0": "no", "1": "yes"}}, "has 2 outputs, not one"),
        ({"id2label": None}, "has 2 outputs, not one"),
        ({"id2label": None, "num_labels": 3}, "has 3 outputs, not one"),
        ({"id2label": 1.5}, "cannot be read: it names its outputs as 1.5"),
        ({"architectures": {}}, "holds an unnamed model"),
        ({"architectures": 7}, "cannot be read"),
    ],
)
def test_a_model_that_does_not_rank_is_refused(
    folder: Path, tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError) as error:
        check_folder(changed(folder, tmp_path / "other", **settings))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_classifier_with_several_outputs_is_refused(tmp_path: Path) -> None:
    for outputs in (2, 3):
        with pytest.raises(ModelError, match=f"has {outputs} outputs, not one"):
            Relevance(tiny_cross_encoder(tmp_path / str(outputs), outputs=outputs))


def test_missing_pickled_and_damaged_weights_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such folder"):
        check_folder(tmp_path / "nothing")
    pickled = changed(folder, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(ModelError, match="holds no safetensors weights"):
        check_folder(pickled)
    broken = changed(folder, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="does not load"):
        Relevance(broken).scores(PAIRS)


def test_weights_that_give_nan_are_told(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    damaged = changed(folder, tmp_path / "damaged")
    weights = load_file(damaged / "model.safetensors")
    weights["classifier.bias"] = weights["classifier.bias"] * float("nan")
    save_file(weights, damaged / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="weights are damaged"):
        Relevance(damaged).scores(PAIRS)
    with pytest.raises(ModelError, match="weights are damaged"):
        asyncio.run(Relevance(damaged)(PAIRS))


def test_the_fingerprint_follows_the_weights(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    assert fingerprint(copy) == fingerprint(folder)
    assert fingerprint(tiny_cross_encoder(tmp_path / "other", seed=1)) != fingerprint(folder)
