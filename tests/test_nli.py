"""`nli`: a cross-encoder's word on whether two texts imply each other."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from llmaug.errors import ModelError, PlanError
from llmaug.plan import Step
from llmaug.plan import fingerprints as fingerprints_of
from llmaug.steps.nli import Nli
from llmaug.testing_step import StepContext, check_step
from llmaug.text import Text

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "film", "was", "good", "bad", "and"]
LABELS = ("contradiction", "Entailment", "neutral")
ROOT = Text("the film was good", id="r", root="r")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer BERT of 16 dimensions with three classes, spread by large weights."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder = tmp_path_factory.mktemp("nli")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    shape = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        initializer_range=0.5,
        id2label=dict(enumerate(LABELS)),
        label2id={label: i for i, label in enumerate(LABELS)},
    )
    torch.manual_seed(0)
    BertForSequenceClassification(shape).save_pretrained(folder)
    return folder


def entailments(step: Step, *written: str, root: Text = ROOT) -> list[float]:
    texts = [root, *(root.derive(t, made_by="x()", id=str(i)) for i, t in enumerate(written))]
    kept = asyncio.run(step.apply(texts, StepContext(root=root)))
    assert kept[0] is root
    return [text.meta["entailment"] for text in kept[1:]]


def expected(folder: Path, premise: str, conclusion: str) -> float:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        row = model(**tokenizer(premise, conclusion, return_tensors="pt")).logits.softmax(1)[0]
    return float(row[1])


def test_the_smaller_of_both_directions_counts(encoder: Path) -> None:
    written = ["bad film", "the film was bad and the film was good"]
    there = [expected(encoder, ROOT.text, text) for text in written]
    back = [expected(encoder, text, ROOT.text) for text in written]
    assert entailments(Nli(str(encoder), min=0, both=False), *written) == pytest.approx(
        there, abs=1e-4
    )
    assert entailments(Nli(str(encoder), min=0), *written) == pytest.approx(
        list(map(min, there, back)), abs=1e-4
    )


def test_a_variant_that_does_not_follow_is_dropped(encoder: Path) -> None:
    variant = ROOT.derive("bad film", made_by="x()", id="v")
    ctx = StepContext(root=ROOT)
    assert asyncio.run(Nli(str(encoder), min=1.0).apply([ROOT, variant], ctx)) == [ROOT]
    assert ctx.drops == [(variant, "nli<1.0")]


def test_many_roots_in_several_loops_get_their_own_answers(encoder: Path) -> None:
    step = Nli(str(encoder), min=0)
    roots = [Text(" ".join(["film", "bad", "good"][: 1 + i % 3]), str(i), str(i)) for i in range(9)]

    async def all_at_once() -> list[list[Text]]:
        return await asyncio.gather(
            *(
                step.apply([root.derive("the good film", made_by="x()", id="v")], StepContext(root))
                for root in roots
            )
        )

    for _ in range(2):
        together = [kept[0].meta["entailment"] for kept in asyncio.run(all_at_once())]
        alone = [entailments(step, "the good film", root=root)[0] for root in roots]
        assert together == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("text", ["good " * 5000, "", "\ud800", "\u200b🙂", "x" * 100_000])
def test_odd_texts_get_an_answer(encoder: Path, text: str) -> None:
    (there,) = entailments(Nli(str(encoder), min=0), text)
    assert 0 <= there <= 1


def test_it_keeps_the_laws(encoder: Path) -> None:
    for step in (Nli(str(encoder)), Nli(str(encoder), min=0.25, both=False)):
        check_step(step, names={"nli": Nli})


def changed(encoder: Path, folder: Path, **settings: object) -> Path:
    """A copy of the encoder with other settings in its configuration."""
    shutil.copytree(encoder, folder, dirs_exist_ok=True)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    return folder


def test_a_run_is_another_with_another_model(encoder: Path, tmp_path: Path) -> None:
    (name, mark), *others = fingerprints_of(Nli(str(encoder))).items()
    assert (name, others) == (f"nli:{encoder}", [])
    assert len(mark) == 12
    copy = changed(encoder, tmp_path / "copy")
    marks = {mark}
    for file in ("config.json", "tokenizer.json", "model.safetensors"):
        (copy / file).write_bytes((copy / file).read_bytes() + b"\n")
        marks |= set(fingerprints_of(Nli(str(copy))).values())
    assert len(marks) == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"architectures": ["BertModel"]}, "holds BertModel, not a sequence classifier"),
        ({"architectures": None}, "holds an unnamed model"),
        ({"id2label": {"0": "bad", "1": "good"}, "label2id": {}}, "no label 'entailment' (its"),
        ({"id2label": None, "label2id": None}, "its labels: none"),
        ({"id2label": {"x": "entailment"}}, "cannot be read"),
        ({"id2label": ["entailment"]}, "cannot be read"),
    ],
)
def test_a_model_that_cannot_judge_is_refused(
    encoder: Path, tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    folder = changed(encoder, tmp_path / "other", **settings)
    with pytest.raises(ModelError) as error:
        Nli(str(folder)).check()
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_weights_in_a_pickle_are_refused(encoder: Path, tmp_path: Path, name: str) -> None:
    folder = changed(encoder, tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(ModelError, match="holds no safetensors weights"):
        Nli(str(folder)).check()


def test_missing_and_broken_folders_are_told(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such folder"):
        Nli(str(tmp_path / "nothing")).check()
    with pytest.raises(ModelError, match=r"it has no config\.json"):
        Nli(str(tmp_path)).check()
    folder = changed(encoder, tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="does not load"):
        entailments(Nli(str(folder)), "bad film")


def test_a_model_without_a_trained_head_is_refused(encoder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = changed(encoder, tmp_path / "headless")
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: w for name, w in weights.items() if not name.startswith("classifier")},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(ModelError, match=r"lacks weights of its classifier, such as classifier\."):
        entailments(Nli(str(folder)), "bad film")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Nli("m", min=2), "min must be a number from 0 to 1"),
        (Nli("m", both=1), "both must be True or False"),  # type: ignore[arg-type]
        (Nli(""), "model must be the name of a folder"),
        (Nli(3), "model must be the name of a folder"),  # type: ignore[arg-type]
    ],
)
def test_values_that_make_no_sense_are_refused(step: Step, message: str) -> None:
    with pytest.raises(PlanError) as error:
        step.check()
    assert message in str(error.value)
