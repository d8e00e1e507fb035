"""Models that embed queries and documents by different parts of themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_training import DOCUMENTS, mined_pairs, small_settings
from tiny_retriever import tiny_retriever

import llmaug as la

torch = pytest.importorskip("torch")
QUERY, DOCUMENT = "which film is good", "the film was good"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Router

    made = tmp_path_factory.mktemp("routed")
    parts = [
        list(SentenceTransformer(str(tiny_retriever(made / f"{seed}", seed=seed)), device="cpu"))
        for seed in (0, 1)
    ]
    router = Router.for_query_document(query_modules=parts[0], document_modules=parts[1])
    model = SentenceTransformer(modules=[router], device="cpu")
    model.save_pretrained(str(made / "model"), create_model_card=False)
    return made / "model"


def alone(folder: Path, seed: int, text: str) -> np.ndarray:
    return la.embedder(str(folder.parent / f"{seed}")).encode([text])


def test_each_side_takes_its_own_route(folder: Path) -> None:
    found = la.embedder(str(folder))
    query, document = found.encode([QUERY], side="query"), found.encode([DOCUMENT], side="document")
    np.testing.assert_allclose(query, alone(folder, 0, QUERY), atol=1e-6)
    np.testing.assert_allclose(document, alone(folder, 1, DOCUMENT), atol=1e-6)


def test_training_takes_the_routes_that_the_embedder_takes(folder: Path) -> None:
    from llmaug.embedders.loading import load_retriever
    from llmaug.training.collator import Collator

    model = load_retriever(folder, device="cpu").eval()
    collate = Collator(
        model,
        mined_pairs(4),
        documents=DOCUMENTS.__getitem__,
        settings=small_settings(),
        prompts={"query": "", "document": ""},
    )
    columns = collate([1])["features"]
    with torch.no_grad():
        query, document = (model(dict(one))["sentence_embedding"].numpy() for one in columns[:2])
    np.testing.assert_allclose(query, alone(folder, 0, mined_pairs(4)[1].pair.query), atol=1e-6)
    np.testing.assert_allclose(document, alone(folder, 1, DOCUMENTS["d1"]), atol=1e-6)
