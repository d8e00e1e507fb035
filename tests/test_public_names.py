"""What `import llmaug as la` offers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import llmaug as la
from llmaug.public_names import PUBLIC


def test_the_public_names() -> None:
    assert la.__all__ == [
        "Backend",
        "Classifier",
        "Collection",
        "Embedder",
        "FakeBackend",
        "GateSettings",
        "Index",
        "Job",
        "LlmaugError",
        "LossSettings",
        "Message",
        "MiningSettings",
        "Pair",
        "Reply",
        "Request",
        "Retriever",
        "Sampling",
        "Settings",
        "SmallClassifier",
        "Step",
        "TTAClassifier",
        "Text",
        "TrainingSettings",
        "answer_first",
        "augment",
        "augment_file",
        "back_translate",
        "backend",
        "bm25",
        "choose",
        "classifier",
        "clean",
        "compare",
        "convex",
        "counterfactual",
        "csqe",
        "cut",
        "decompose",
        "dedupe",
        "doc2query",
        "edit",
        "elaborate",
        "embedder",
        "entities_kept",
        "evaluate",
        "expand",
        "expander",
        "feedback",
        "few_shot",
        "first_line",
        "first_sentence",
        "formalise",
        "fuse",
        "generate",
        "genqr",
        "genqr_ensemble",
        "hyde",
        "icr",
        "inpars",
        "join",
        "judge",
        "keep",
        "keeps_label",
        "keywords",
        "label_conditioned",
        "lamer",
        "length",
        "mine",
        "mugi",
        "multi_query",
        "negative_passage",
        "nli",
        "nlpaug",
        "normalise",
        "not_copied",
        "numbers_kept",
        "paraphrase",
        "parse",
        "passage_rewrite",
        "passages",
        "predictors",
        "promptagator",
        "qa_expand",
        "query2doc",
        "query2e",
        "read",
        "read_expansions",
        "read_mined",
        "read_pairs",
        "read_qrels",
        "read_queries",
        "read_rankings",
        "read_recipe",
        "reformer",
        "rerank_first",
        "rewrite_query",
        "rm3",
        "roundtrip",
        "rrf",
        "run_recipe",
        "search",
        "search_expanded",
        "similar",
        "simplify",
        "specific",
        "step_back",
        "stored",
        "style_match",
        "summarise",
        "thinkqe",
        "train",
        "write",
        "write_expansions",
        "write_mined",
        "write_pairs",
        "write_qrels",
        "write_queries",
        "write_rankings",
    ]
    for name in la.__all__:
        assert getattr(la, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        la.nothing  # noqa: B018


def test_type_checkers_are_told_the_same_names_from_the_same_modules() -> None:
    (told,) = (
        part
        for part in ast.parse(Path(str(la.__file__)).read_text()).body
        if isinstance(part, ast.If)
    )
    assert {
        alias.name: line.module
        for line in told.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    } == PUBLIC
