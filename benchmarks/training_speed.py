"""What our training loop costs beside sentence-transformers' own, and what memory a batch takes.

    python -m benchmarks.training_speed speed [--rounds 5]
    python -m benchmarks.training_speed memory

`speed` trains MiniLM on the same pairs in the same batches with both trainers and the same loss
(CachedMultipleNegativesRankingLoss and our equal of it), by turns. `memory` takes one step with
queries × 6 passages of a small random model, each size in a process of its own.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import llmaug as la
from llmaug.training.mined import MinedPair, Negative, Scores
from llmaug.training.pairs import Pair
from llmaug.training.settings import LossSettings, TrainingSettings
from llmaug.training.train import train

PAIRS, BATCH, PASSAGES = 128, 32, 2  # passages: the positive and one negative
SIZES = (256, 1024, 4096)
WORDS = [word for word in Path(la.__file__).read_text().split() if word.isalpha()]


def texts(count: int, words: int, *, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=words)) for _ in range(count)]


def mined(pairs: int, passages: int, *, words: int) -> tuple[list[MinedPair], dict[str, str]]:
    documents = {str(n): text for n, text in enumerate(texts(pairs * passages, words, seed=1))}
    rows = []
    for n, query in enumerate(texts(pairs, 12, seed=2)):
        own = [str(n * passages + k) for k in range(passages)]
        negatives = tuple(Negative(id, "random", 0) for id in own[1:])
        rows.append(MinedPair(Pair(f"q{n}", query, own[0]), Scores(), negatives))
    return rows, documents


def ours(folder: Path) -> float:
    """Pairs per second of our trainer."""
    rows, documents = mined(PAIRS, PASSAGES, words=90)
    settings = TrainingSettings(
        loss=LossSettings(mask_known=False, mini_batch=16),
        batch=BATCH,
        document_tokens=128,
        checkpoint=10**6,
    )
    began: list[float] = []

    def progress(step: int, steps: int, loss: float) -> None:
        began.append(time.monotonic())

    train(
        "minilm",
        rows,
        documents=documents.__getitem__,
        settings=settings,
        folder=folder,
        progress=progress,
    )
    return BATCH * (len(began) - 1) / (began[-1] - began[0])


def theirs(folder: Path) -> float:
    """Pairs per second of sentence-transformers' trainer."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import (
        CachedMultipleNegativesRankingLoss,
    )
    from transformers import TrainerCallback

    rows, documents = mined(PAIRS, PASSAGES, words=90)
    columns = {"query": [row.pair.query for row in rows]}
    columns["positive"] = [documents[row.pair.document_id] for row in rows]
    columns["negative"] = [documents[row.negatives[0].document_id] for row in rows]
    began: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_args: object, **_options: object) -> None:
            began.append(time.monotonic())

    model = SentenceTransformer(str(la.embedder("minilm").folder), device="cpu")  # type: ignore[attr-defined]
    model.max_seq_length = 128
    SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=BATCH,
            learning_rate=2e-5,
            warmup_steps=0.1,
            weight_decay=0.01,
            num_train_epochs=1,
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            logging_strategy="no",
            use_cpu=True,
        ),
        train_dataset=Dataset.from_dict(columns),
        loss=CachedMultipleNegativesRankingLoss(model, mini_batch_size=16),
        callbacks=[Clock()],
    ).train()
    return BATCH * (len(began) - 1) / (began[-1] - began[0])


def speed(rounds: int) -> None:
    ratios = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            pair = {}
            order = (ours, theirs) if number % 2 else (theirs, ours)
            for one in order:
                pair[one.__name__] = one(Path(folder) / one.__name__)
            ratios.append(pair["ours"] / pair["theirs"])
            print(f"ours {pair['ours']:.2f}, theirs {pair['theirs']:.2f} pairs/s", flush=True)
    print(
        f"ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}), "
        f"{rounds} rounds"
    )


def memory() -> None:
    for size in SIZES:
        subprocess.run(
            [sys.executable, "-m", "benchmarks.training_speed", "step", "--queries", str(size)],
            check=True,
        )


def step(queries: int) -> None:
    """One step of training a small model, and the most memory that the process took."""
    from transformers import BertConfig, BertModel

    minilm = la.embedder("minilm").folder  # type: ignore[attr-defined]
    rows, documents = mined(queries, 6, words=20)
    with tempfile.TemporaryDirectory() as folder:
        from sentence_transformers import SentenceTransformer

        base = SentenceTransformer(str(minilm), device="cpu")
        base[0].auto_model = BertModel(
            BertConfig(
                hidden_size=384, num_hidden_layers=2, num_attention_heads=6, intermediate_size=512
            )
        )
        base.save(f"{folder}/base")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        began = time.monotonic()
        train(
            f"{folder}/base",
            rows,
            documents=documents.__getitem__,
            settings=TrainingSettings(batch=queries, document_tokens=32, query_tokens=32),
            folder=Path(folder) / "out",
        )
        seconds = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{queries:,} queries x 6: peak {after:,.0f} MB ({before:,.0f} before), {seconds:.0f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("speed", "memory", "step"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--queries", type=int, default=256)
    asked = parser.parse_args()
    if asked.what == "speed":
        speed(asked.rounds)
    elif asked.what == "memory":
        memory()
    else:
        step(asked.queries)


if __name__ == "__main__":
    main()
