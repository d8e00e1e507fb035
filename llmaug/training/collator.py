"""A batch of training pairs as tokens, and as the numbers of its documents. A torch module."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from llmaug.embedders.loading import task_of
from llmaug.embedders.sentence import MOST_CHARACTERS_PER_TOKEN
from llmaug.retrieval.vectors import key
from llmaug.training.mined import MinedPair
from llmaug.training.settings import TrainingSettings


class Collator:
    """Turns the places of pairs into a batch: `features` (one dict a column) and `label`.

    The columns are query, positive and negatives, read and cut when they are asked for, so that
    memory holds the tokens of one batch only. The prompts go before the texts as the embedder puts
    them. `known` are the documents that answer a query, by its id; those that are paired with the
    same query are known anyway. Documents of the same text have one number, so that a copy of an
    answer is known to be one. The label has "documents" (B, 1 + N), "positives" (B, P), padded
    with -1, and "teacher" (B, 1 + N), NaN where there is no score.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        mined: Sequence[MinedPair],
        *,
        documents: Callable[[str], str],
        settings: TrainingSettings,
        prompts: Mapping[str, str],
        known: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self._model, self._mined, self._documents = model, mined, documents
        self._prompts = prompts
        longest = model.max_seq_length or math.inf
        self._tokens = {
            "query": int(min(settings.query_tokens, longest)),
            "document": int(min(settings.document_tokens, longest)),
        }
        self._numbers: dict[str, int] = {}
        by_text: dict[bytes, int] = {}
        for one in mined:
            for id in _ids(one):
                if id not in self._numbers:
                    number = by_text.setdefault(key(documents(id)), len(by_text))
                    self._numbers[id] = number
        self._answers = self._answering(known or {})

    def _answering(self, known: Mapping[str, Collection[str]]) -> dict[str, set[int]]:
        """The numbers of the documents that answer a query, by its text."""
        answers: dict[str, set[int]] = {}
        for one in self._mined:
            of_query = answers.setdefault(one.pair.query, set())
            of_query.add(self._numbers[one.pair.document_id])
            # Documents without a number are in no batch.
            for id in known.get(one.pair.query_id, ()):
                if id in self._numbers:
                    of_query.add(self._numbers[id])
        return answers

    def __call__(self, places: Sequence[int]) -> dict[str, Any]:
        rows = [self._mined[place] for place in places]
        ids = [_ids(row) for row in rows]
        texts = {id: self._documents(id) for id in dict.fromkeys(id for row in ids for id in row)}
        query = self._read([row.pair.query for row in rows], "query")
        query["task"] = "query"  # what a modulation of queries looks for
        columns = [
            self._read([texts[id] for id in column], "document")
            for column in zip(*ids, strict=True)
        ]
        return {"features": [query, *columns], "label": self._label(rows, ids)}

    def _read(self, texts: list[str], side: str) -> dict[str, Any]:
        most = self._tokens[side]
        longest = most * MOST_CHARACTERS_PER_TOKEN
        # Tokenizers refuse half of a surrogate pair, and would work through all of a long text.
        clean = [text[:longest].encode("utf-8", "replace").decode() for text in texts]
        told = {"prompt": self._prompts[side] or None, **task_of(self._model, side)}
        return dict(self._model.preprocess(clean, max_length=most, **told))

    def _label(self, rows: list[MinedPair], ids: list[list[str]]) -> dict[str, torch.Tensor]:
        answers = [sorted(self._answers[row.pair.query]) for row in rows]
        most = max(map(len, answers))
        scores = [
            [row.scores.teacher, *(negative.scores.teacher for negative in row.negatives)]
            for row in rows
        ]
        return {
            "documents": torch.tensor([[self._numbers[id] for id in row] for row in ids]),
            "positives": torch.tensor([row + [-1] * (most - len(row)) for row in answers]),
            "teacher": torch.tensor(
                [[math.nan if score is None else score for score in row] for row in scores],
                dtype=torch.float32,
            ),
        }


def _ids(one: MinedPair) -> list[str]:
    return [one.pair.document_id, *(negative.document_id for negative in one.negatives)]
