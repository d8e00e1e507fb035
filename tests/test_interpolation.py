"""Models between a base and what was tuned from it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import llmaug as la
from llmaug.errors import ModelError, OutputError, RetrievalError
from llmaug.training.interpolation import interpolate

pytest.importorskip("sentence_transformers", reason="needs the extra train")
torch = pytest.importorskip("torch")
from safetensors.torch import load_file, save_file  # noqa: E402
from tiny_retriever import tiny_retriever  # noqa: E402


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return tiny_retriever(root / "base", seed=0), tiny_retriever(root / "tuned", seed=1)


@pytest.fixture
def models(made, tmp_path):
    """Copies that a test may change."""
    return tuple(shutil.copytree(model, tmp_path / model.name) for model in made)


def weights(folder, place="."):
    return load_file(folder / place / "model.safetensors")


def test_every_tensor_is_the_mean_of_the_two(made, tmp_path):
    base, tuned = made
    between = weights(interpolate(base, tuned, weight=0.25, folder=tmp_path / "between"))
    first, last = weights(base), weights(tuned)
    assert between.keys() == last.keys()
    for name, tensor in between.items():
        assert torch.equal(tensor, 0.75 * first[name] + 0.25 * last[name])
        assert tensor.dtype == last[name].dtype


@pytest.mark.parametrize(("weight", "name"), [(0.0, "base"), (1.0, "tuned")])
def test_the_ends_are_copies_to_the_byte(made, tmp_path, weight, name):
    source = {"base": made[0], "tuned": made[1]}[name]
    copied = interpolate(*made, weight=weight, folder=tmp_path / "end")
    files = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
    assert files
    for file in files:
        assert (copied / file).read_bytes() == (source / file).read_bytes()
    assert la.embedder(str(copied)).fingerprint == la.embedder(str(source)).fingerprint


def test_a_model_between_loads_and_lies_between(made, tmp_path):
    folders = [
        interpolate(*made, weight=w, folder=tmp_path / f"{w}") for w in (0.0, 0.01, 0.99, 1.0)
    ]
    vectors = [la.embedder(str(folder)).encode(["water in the kettle"])[0] for folder in folders]
    assert np.dot(vectors[0], vectors[1]) > 0.99 > np.dot(vectors[0], vectors[3])
    assert np.dot(vectors[2], vectors[3]) > 0.99


def test_the_same_models_give_the_same_bytes(made, tmp_path):
    one, other = (interpolate(*made, weight=0.5, folder=tmp_path / name) for name in "ab")
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()


def test_half_precision_is_mixed_in_single_precision(models, tmp_path):
    base, tuned = models
    last = {name: tensor.half() for name, tensor in weights(tuned).items()}
    save_file(last, tuned / "model.safetensors", metadata={"format": "pt"})
    first = weights(base)
    between = weights(interpolate(base, tuned, weight=0.5, folder=tmp_path / "between"))
    for name, tensor in between.items():
        assert tensor.dtype == torch.float16
        assert torch.equal(tensor, (0.5 * first[name] + 0.5 * last[name].float()).half())


def test_whole_numbers_come_from_the_tuned_model(models, tmp_path):
    for number, model in enumerate(models):
        held = {**weights(model), "positions": torch.arange(3) + number}
        save_file(held, model / "model.safetensors", metadata={"format": "pt"})
    between = weights(interpolate(*models, weight=0.5, folder=tmp_path / "between"))
    assert between["positions"].tolist() == [1, 2, 3]


def test_a_new_module_grows_from_zero(models, tmp_path):
    base, tuned = models
    new = tuned / "2_Modulation"
    new.mkdir()
    save_file({"W": torch.full((2, 2), 4.0), "b": torch.ones(2)}, new / "model.safetensors")
    between = interpolate(base, tuned, weight=0.25, folder=tmp_path / "between")
    grown = weights(between, "2_Modulation")
    assert grown["W"].tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert grown["b"].tolist() == [0.25, 0.25]


def test_a_module_that_moved_is_found_by_its_tensors(models, tmp_path):
    base, tuned = models
    (tuned / "query_0_Transformer").mkdir()
    shutil.move(tuned / "model.safetensors", tuned / "query_0_Transformer" / "model.safetensors")
    between = interpolate(base, tuned, weight=0.5, folder=tmp_path / "between")
    mixed, first = weights(between, "query_0_Transformer"), weights(base)
    last = weights(tuned, "query_0_Transformer")
    name = "embeddings.word_embeddings.weight"
    assert torch.equal(mixed[name], 0.5 * first[name] + 0.5 * last[name])


def test_a_module_that_may_have_moved_from_two_places_is_refused(models, tmp_path):
    base, tuned = models
    for model, names in ((base, ("1_Dense", "2_Dense")), (tuned, ("3_Dense",))):
        for name in names:
            (model / name).mkdir(exist_ok=True)
            save_file({"linear.weight": torch.ones(2, 2)}, model / name / "model.safetensors")
    with pytest.raises(RetrievalError, match="'3_Dense' may come from any of '1_Dense', '2_Dense'"):
        interpolate(base, tuned, weight=0.5, folder=tmp_path / "between")


def test_another_shape_is_refused_by_name_and_leaves_nothing(models, tmp_path):
    base, tuned = models
    held = weights(tuned)
    name = "embeddings.word_embeddings.weight"
    held[name] = held[name][:10].clone()
    save_file(held, tuned / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RetrievalError, match=r"'embeddings.word_embeddings.weight' of model.*10"):
        interpolate(base, tuned, weight=0.5, folder=tmp_path / "between")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "tuned"]


def test_models_without_a_tensor_in_common_are_refused(models, tmp_path):
    base, tuned = models
    save_file(
        {f"bert.{name}": tensor for name, tensor in weights(base).items()},
        base / "model.safetensors",
    )
    with pytest.raises(RetrievalError, match="shares no tensor"):
        interpolate(base, tuned, weight=0.5, folder=tmp_path / "between")


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_weight_outside_is_refused(made, tmp_path, weight):
    with pytest.raises(RetrievalError, match="from 0 to 1"):
        interpolate(*made, weight=weight, folder=tmp_path / "between")


def test_folders_that_are_no_models_are_refused(made, models, tmp_path):
    with pytest.raises(RetrievalError, match="not a sentence-transformers folder"):
        interpolate(made[0], tmp_path / "nothing", weight=0.5, folder=tmp_path / "between")
    (models[1] / "model.safetensors").rename(models[1] / "pytorch_model.bin")
    with pytest.raises(ModelError, match="is a pickle"):
        interpolate(*models, weight=0.5, folder=tmp_path / "between")


def test_damaged_weights_are_refused(models, tmp_path):
    (models[1] / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(RetrievalError, match="cannot be read"):
        interpolate(*models, weight=0.5, folder=tmp_path / "between")


def test_an_earlier_model_is_replaced_and_other_files_are_not(made, tmp_path):
    target = interpolate(*made, weight=0.5, folder=tmp_path / "model")
    interpolate(*made, weight=1.0, folder=target)
    assert torch.equal(
        weights(target)["embeddings.word_embeddings.weight"],
        weights(made[1])["embeddings.word_embeddings.weight"],
    )
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"thesis.txt"):
        interpolate(*made, weight=0.5, folder=tmp_path / "notes")


def test_second_copies_of_weights_do_not_come_along(models, tmp_path):
    for model in models:
        (model / "pytorch_model.bin").write_bytes(b"pickle")
        (model / "onnx").mkdir()
        (model / "onnx" / "model.onnx").write_bytes(b"other weights")
    for weight in (0.0, 0.5, 1.0):
        made = interpolate(*models, weight=weight, folder=tmp_path / "between")
        assert not (made / "onnx").exists()
        assert not (made / "pytorch_model.bin").exists()
        assert json.loads((made / "modules.json").read_bytes())
