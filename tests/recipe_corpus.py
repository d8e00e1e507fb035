"""A corpus whose queries share no word with what answers them, and a model that can learn them."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

from llmaug.training.recipe import RecipeResult, run_recipe
from llmaug.training.recipe_file import read_recipe

ASKED = {  # the first ten are things, the others their troubles
    "kettle": "boiler",
    "battery": "cell",
    "torch": "light",
    "vacuum": "hoover",
    "camera": "lens",
    "engine": "motor",
    "window": "pane",
    "garden": "yard",
    "piano": "keys",
    "lamp": "bulb",
    "leaks": "drips",
    "overheats": "hot",
    "rattles": "noisy",
    "sticks": "jammed",
    "rusts": "corroded",
    "flickers": "blinks",
    "smells": "stinks",
    "vibrates": "shakes",
    "shrinks": "small",
    "fades": "pale",
}
THINGS, TROUBLES = list(ASKED)[:10], list(ASKED)[10:]
SPLITS = {"train": range(0, 52), "dev": range(52, 76), "test": range(76, 100)}
HUMAN = "human: true\ndev: {split: dev}\ntest: true\n"
FAKE = "generate: {plan: 'doc2query(n=2)', lm: 'fake:'}\n"
LEARN = "{batch: 16, epochs: 12, learning_rate: 0.05}"


def recipe_corpus(folder: Path) -> Path:
    """A BEIR folder of 100 documents, each a thing and a trouble, with a query for each."""
    (folder / "qrels").mkdir(parents=True)
    documents, queries = [], []
    pairs = sorted(itertools.product(THINGS, TROUBLES), key=lambda pair: hash_of(*pair))
    for number, (thing, trouble) in enumerate(pairs):
        text = f"{thing} which {trouble} , part {number} of the manual"
        documents.append({"_id": f"d{number}", "title": f"{thing} {trouble}", "text": text})
        asked = f"{ASKED[thing]} {ASKED[trouble]}"
        queries.append({"_id": f"q{number}", "text": asked})
    for name, rows in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for split, numbers in SPLITS.items():
        rows = "".join(f"q{number}\td{number}\t1\n" for number in numbers)
        (folder / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")
    return folder


def hash_of(*words: str) -> int:
    """A number that orders pairs in no way that means anything, the same in every process."""
    return sum(ord(letter) * 31**place for place, letter in enumerate("".join(words))) % 9973


def static_retriever(folder: Path, *, seed: int = 0) -> Path:
    """Random vectors of 32 dimensions for every word of the corpus and of its queries."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    numbers = [str(number) for number in range(100)]
    words = ["[UNK]", *ASKED, *ASKED.values(), *numbers, "which", "part", "of", "the", "manual"]
    tokenizer = Tokenizer(WordLevel({w: at for at, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    randoms = torch.Generator().manual_seed(seed)
    weights = torch.randn(len(words), 32, generator=randoms)
    weights[0] *= 0.1
    module = StaticEmbedding(tokenizer, embedding_weights=weights.numpy())
    model = SentenceTransformer(modules=[module], device="cpu")
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def recipe_folder(folder: Path) -> Path:
    """A folder with `corpus` and `base`, beside which recipes may lie."""
    recipe_corpus(folder / "corpus")
    static_retriever(folder / "base")
    return folder


def written(folder: Path, text: str, *, name: str = "r.yaml") -> Path:
    """A recipe for the corpus and the model there; mining and training are small unless given."""
    lines = ["corpus: corpus", "model: base", text.strip()]
    if "mine:" not in text:
        lines.append("mine: {negatives: 2, last: 20, relative_margin: null}")
    if "train:" not in text:
        lines.append(f"train: {LEARN}")
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def done(folder: Path, text: str, *, output: Path, **options: Any) -> RecipeResult:
    """Carry out a recipe for the corpus in the folder, with artefacts in `output`."""
    recipe = read_recipe(written(folder, text, name=f"{output.name}.yaml"))
    return run_recipe(dataclasses.replace(recipe, output=str(output)), **options)
