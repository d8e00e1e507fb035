"""Between a base and a model with a modulation: what is modulated grows with the weight."""

from __future__ import annotations

import pytest
from tiny_retriever import tiny_retriever

from llmaug.training.interpolation import interpolate
from llmaug.training.settings import TrainingSettings

pytest.importorskip("sentence_transformers", reason="needs the extra train")
torch = pytest.importorskip("torch")

TEXTS = ["what causes cancer", "the battery of the torch leaks", "dogs"]
KINDS = [(kind, rank) for kind in ("slr", "llr") for rank in (None, 4)]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_retriever(tmp_path_factory.mktemp("base"))


def loaded(folder):
    from llmaug.embedders.loading import load_retriever

    return load_retriever(folder, device="cpu")


def modulation_of(model):
    return next(part for part in model if type(part).__name__ == "LexicalModulation")


def tuned_from(base, folder, **modulation):
    """The base with a modulation whose every number has moved, as training would."""
    from llmaug.training.modules import add_modulation

    model = loaded(base)
    add_modulation(model, TrainingSettings(**modulation))
    with torch.no_grad():
        for number, parameter in enumerate(modulation_of(model).parameters()):
            chance = torch.Generator().manual_seed(number)
            parameter += 0.1 * torch.randn(parameter.shape, generator=chance)
    model.save(str(folder))
    return folder


def log_weights(folder):
    """What the modulation adds to the logarithm of each dimension, up to a constant of a text."""
    model = loaded(folder)
    part = modulation_of(model)
    features = {**model.preprocess(TEXTS), "task": "query"}
    vectors = torch.ones(len(TEXTS), part.dimension)  # the same before modulation in every model
    with torch.inference_mode():
        made = part({**features, "sentence_embedding": vectors})["sentence_embedding"].log()
    return made - made.mean(dim=1, keepdim=True)


@pytest.mark.parametrize(("kind", "rank"), KINDS)
def test_a_modulation_grows_in_a_line_with_the_weight(kind, rank, base, tmp_path):
    tuned = tuned_from(base, tmp_path / "tuned", modulation=kind, modulation_rank=rank)
    whole = log_weights(tuned)
    assert whole.abs().max() > 0.1
    for weight in (0.1, 0.5, 0.9):
        between = interpolate(base, tuned, weight=weight, folder=tmp_path / f"{weight}")
        torch.testing.assert_close(log_weights(between), weight * whole, atol=1e-5, rtol=1e-4)


def test_a_modulation_that_the_base_has_is_the_mean_of_the_two(base, tmp_path):
    start = tuned_from(base, tmp_path / "start", modulation="slr", modulation_rank=4)
    model = loaded(start)
    with torch.no_grad():
        for parameter in modulation_of(model).parameters():
            parameter *= 3
    model.save(str(tmp_path / "tuned"))
    between = loaded(interpolate(start, tmp_path / "tuned", weight=0.25, folder=tmp_path / "mean"))
    pairs = zip(
        modulation_of(between).parameters(), modulation_of(loaded(start)).parameters(), strict=True
    )
    for mixed, first in pairs:
        torch.testing.assert_close(mixed, 1.5 * first)
