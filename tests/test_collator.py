"""The numbers that a batch gives its documents."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_training import DOCUMENTS, mined_pairs, small_settings
from tiny_retriever import tiny_retriever

torch = pytest.importorskip("torch")


def test_documents_of_the_same_text_have_one_number(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    from llmaug.training.collator import Collator

    model = SentenceTransformer(str(tiny_retriever(tmp_path)), device="cpu")
    documents = DOCUMENTS | {"d9": DOCUMENTS["d0"]}
    collate = Collator(
        model,
        mined_pairs(12),  # each with its document and the two after it
        documents=documents.__getitem__,
        settings=small_settings(),
        prompts={"query": "", "document": ""},
    )
    label = collate([0, 8])["label"]
    positive, *negatives = label["documents"][0].tolist()
    assert label["documents"][1].tolist()[1] == positive  # d9, a copy of d0
    assert positive not in negatives
    assert label["positives"][0].tolist() == [positive]
