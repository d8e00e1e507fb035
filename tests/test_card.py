"""Model cards: every number with its interval, and nothing that a reader must not see or run."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from llmaug.training.card import model_card
from llmaug.training.card_facts import (
    CardFacts,
    Estimate,
    OnCollection,
    SweptRatio,
    SystemRow,
    TrainedOn,
)
from llmaug.training.card_text import escaped, fenced, harmless, model_name, placeless
from llmaug.training.gate_decision import Candidate, Decision
from llmaug.training.saturation_plot import SaturationPoint
from llmaug.training.settings import GateSettings

CANDIDATE = Candidate(0.5, 0.6612, 0.012, 0.0011, 0.0229, 0.01234, 0.02468, 30, 12, 58, 0.0156)
FACTS = CardFacts(
    name="/home/anna/tuned",
    base="/home/anna/models/minilm",
    corpus="/home/anna/data/scifact",
    documents=5183,
    trained_on=(TrainedOn("human", "", 809, 919), TrainedOn("synthetic", "claim", 4000, 4000)),
    settings={"corpus": "/home/anna/data/scifact", "train": {"learning_rate": 2e-5}},
    ratio=1.0,
    ratio_asked=1.0,
    sweep=(SweptRatio(1, 1.0, 0.66, -0.001, 0.002), SweptRatio(8, 4.351, 0.661, 0.0, 0.0)),
    training={"steps": 77, "pairs a second": 71.5},
    divergence=Estimate(0.8, 0.7, 0.9),
    cut="7 of 60 passages were cut at 256 tokens",
    human_dropped={"document of the test": 12},
    written=6000,
    dropped={"not in the top 20": 1900, "copied": 100},
    negatives={"pairs": 4919, "mean cosine": 0.41237},
    decision=Decision(0.5, "it is better by 0.0120", 0.6492, 100, (CANDIDATE,), GateSettings()),
    dev="human",
    tests=(
        OnCollection(
            "/home/anna/data/scifact",
            300,
            (
                SystemRow("base", {"nDCG@10": Estimate(0.64919, 0.60011, 0.69021)}),
                SystemRow("tuned", {"nDCG@10": Estimate(0.67123, 0.62, 0.71)}),
                SystemRow("BM25", {"nDCG@10": Estimate(0.665), "R@100": Estimate(0.9)}),
            ),
            {"nDCG@10": Estimate(0.02204, 0.0051, 0.0391)},
            {"nDCG@10": 0.0123},
        ),
        OnCollection("../cranfield", 225, (SystemRow("base", {"nDCG@10": Estimate(0.4)}),)),
    ),
    saturation=(
        SaturationPoint(4000, 0.66, 0.63, 0.69),
        SaturationPoint(1000, 0.655, 0.625, 0.685),
    ),
    saturation_base=Estimate(0.6492, 0.61, 0.68),
    saturation_human=Estimate(0.6521),
    measure="nDCG@10",
    plot="saturation.png",
    generator="transformers:/home/anna/lm/smollm2-135m",
    leakage={"by n-gram": 3, "by embedding": 12},
    examples=(("what is a kettle?", "A kettle boils water."),),
    versions={"llmaug": "0.1.0"},
)


def front_matter(card: str) -> dict[str, object]:
    begin, front, _ = card.split("---\n", 2)
    assert begin == ""
    return dict(yaml.safe_load(front))


def test_front_matter_is_what_sentence_transformers_reads() -> None:
    front = front_matter(model_card(FACTS))
    assert front["library_name"] == "sentence-transformers"
    assert front["base_model"] == "minilm"
    assert "sentence-transformers" in front["tags"]  # type: ignore[operator]


@pytest.mark.parametrize(
    "line",
    [
        "# tuned",
        "A retriever: minilm, trained with llmaug for scifact (5,183 documents). "
        "In brackets are 95 % intervals.",
        "| base | 0.6492 [0.6001, 0.6902] | – |",
        "| BM25 | 0.6650 | 0.9000 |",
        "Over the base, nDCG@10 changes by +0.0220 [+0.0051, +0.0391], p = 0.0123.",
        "cranfield, 225 queries:",
        "| 0.5 | 0.6612 | +0.0120 [+0.0011, +0.0229] | 0.0123 | 0.0247 | 30 | 12 | 58 | 0.0156 |",
        "| human |  | 809 | 919 |",
        "6,000 synthetic queries were written by transformers:smollm2-135m; filters dropped 2,000:",
        "| not in the top 20 | 1,900 |",
        "| mean cosine | 0.4124 |",
        "| none (base) | 0.6492 [0.6100, 0.6800] |",
        "| none (human ones alone) | 0.6521 |",
        "| 1 (chosen) | 1 | 0.6600 | -0.0010 ± 0.0020 |",
        "| 8 | 4.35 | 0.6610 | +0.0000 ± 0.0000 |",
        "| pairs a second | 71.5000 |",
        "| document of the test | 12 |",
        "A classifier tells synthetic from human queries with an AUC of 0.8000 [0.7000, 0.9000]; "
        "0.5 is chance.",
        "7 of 60 passages were cut at 256 tokens: queries were written for their beginnings.",
        "| 1,000 | 0.6550 [0.6250, 0.6850] |",
        "![dev quality against the number of synthetic queries](saturation.png)",
        "- Queries near those of the test, by embedding: 12.",
        "| what is a kettle? | A kettle boils water. |",
        "  learning_rate: 2.0e-05",
        "llmaug 0.1.0",
    ],
)
def test_a_card_says(line: str) -> None:
    assert line in model_card(FACTS).splitlines()


def test_caveats() -> None:
    assert "demonstration model" in model_card(FACTS)
    other = replace(FACTS, generator="chat:qwen", decision=None, dev="synthetic", tests=())
    card = model_card(other)
    assert "demonstration" not in card
    assert "No gate decided" in card
    assert "dev queries are synthetic" in card
    assert "was not tested" in card
    undecided = Decision(0.0, "12 dev queries are fewer than 20", settings=GateSettings())
    assert "too few dev queries" in model_card(replace(FACTS, decision=undecided))


def test_synthetic_pairs_that_were_not_trained_on_are_not_claimed() -> None:
    card = model_card(replace(FACTS, ratio=0.0, ratio_asked=0.0))
    assert "None of the 4,000 synthetic pairs was trained on: the ratio is 0." in card
    assert "| human |" in card
    assert "| synthetic | claim |" not in card


def test_a_title_shows_no_escapes() -> None:
    assert "# my_tuned_model" in model_card(replace(FACTS, name="my_tuned_model")).splitlines()
    assert "# \\_x\\_" in model_card(replace(FACTS, name="_x_")).splitlines()


def test_what_is_not_there_has_no_section() -> None:
    bare = CardFacts("tuned", "minilm", "corpus", 3, (TrainedOn("human", "", 2, 2),), {})
    titles = re.findall("^## (.*)$", model_card(bare), re.MULTILINE)
    assert titles == ["How to load it", "Trained on", "Caveats", "Settings"]


def test_no_place_on_the_machine_and_no_secret() -> None:
    settings = {
        "model": "~/models/x",
        "generate": {
            "lm": "transformers:/home/anna/lm",
            "base_url": "http://anna:pw@host:80/v1",
            "lm_options": {"api_key": "sk-1", "query_tokens": 64},
            "plan": "stored('/home/anna/made.jsonl', n=2)",
        },
    }
    clean = harmless(settings)
    assert clean["model"] == "x"
    assert clean["generate"] == {
        "lm": "transformers:lm",
        "base_url": "http://host:80/v1",
        "lm_options": {"query_tokens": 64},
        "plan": "stored('made.jsonl', n=2)",
    }
    decision = Decision(0.0, "see /home/anna/log.txt")
    card = model_card(replace(FACTS, settings=settings, decision=decision))
    assert not re.search("home|anna|sk-1|pw@", card)


@pytest.mark.parametrize("text", ["and/or", "a / b", "irds:beir/x", "hf:org/name", "http://h/v1"])
def test_what_is_no_path_stays(text: str) -> None:
    assert placeless(text) == text


HOSTILE = [
    "</td><script>alert(1)</script>",
    "a | b\n\n# Title\n---\nx",
    "[click](javascript:alert(1)) ![x](http://evil/x.png)",
    "`code` **bold** <img src=x onerror=y> https://evil.example www.evil.example",
    "\u202ereversed \x1b[31m",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_the_corpus_do_nothing(text: str) -> None:
    plain = model_card(replace(FACTS, examples=(("query", "document"),)))
    card = model_card(replace(FACTS, examples=((text, text),), leakage={text: 1}))
    assert len(card.splitlines()) == len(plain.splitlines()) - 1  # one leakage line less
    assert not re.search(r"<(script|img|td)|(?<!\\)\]\(java|https?://evil|www\.", card)
    row = next(line for line in card.splitlines() if escaped(text) in line and line[0] == "|")
    assert len(re.findall(r"(?<!\\)\|", row)) == 3


@given(st.text())
def test_escaped_is_one_line_without_markup(text: str) -> None:
    shown = escaped(text)
    assert len(shown.splitlines()) <= 1
    assert not re.search(r"[<>]|(?<!\\)(\\\\)*[`*_|\[\]]", re.sub(r"\\.", "", shown))


@given(st.text(alphabet="`~ax\n"))
def test_a_fence_holds_what_is_inside(text: str) -> None:
    first, *_, last = fenced(text).splitlines()
    assert first == last
    assert first not in text


@given(st.text(min_size=1))
def test_any_name_of_a_base_is_read_back(name: str) -> None:
    assert front_matter(model_card(replace(FACTS, base=name)))["base_model"] == model_name(name)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("minilm", "minilm"), ("org/name", "org/name"), ("/a/b/", "b"), ("./x", "x"), ("a/b/c", "c")],
)
def test_names_of_models(name: str, shown: str) -> None:
    assert model_name(name) == shown
