"""A classifier that is a function of words, texts for it, and language models that change them."""

from __future__ import annotations

import json
import random

import numpy as np

import llmaug as la
from llmaug.classify.tta import TTAClassifier
from llmaug.testing import FakeBackend

WEIGHTS = {"great": 2.0, "good": 1.0, "fine": 0.4, "dull": -0.4, "bad": -1.0, "awful": -2.0}
WORDS = tuple(WEIGHTS)
SLANG = {"lit": "great", "mid": "awful"}  # words that the classifier does not know
OPPOSITE = dict(zip(WORDS, reversed(WORDS), strict=True))
CLASSES = ("neg", "pos")
PLAN = "keep() + paraphrase(n=4)"


def logits(texts):
    scores = [sum(WEIGHTS.get(word, 0.0) for word in text.split()) for text in texts]
    return np.column_stack([np.zeros(len(scores)), np.array(scores)])


def chances(texts):
    powers = np.exp(logits(texts))
    return powers / powers.sum(axis=1, keepdims=True)


def toy(fingerprint="toy"):
    return la.classifier(chances, classes=CLASSES, name="toy", fingerprint=fingerprint)


def examples(number, *, seed=0, slang=False):
    """Different texts of three words of sentiment, with the label that the words add up to."""
    draw = random.Random(seed)
    texts, labels = [], []
    words = (*WORDS, *SLANG) if slang else WORDS
    for row in range(number):
        picked = [draw.choice(words) for _ in range(3)]
        score = sum(WEIGHTS[SLANG.get(word, word)] for word in picked) + draw.gauss(0, 0.5)
        texts.append(f"film{row} {' '.join(picked)}")
        labels.append(CLASSES[score > 0])
    return texts, labels


def text_of(request):
    return request.messages[-1].content.rpartition("\n\n")[2]


def rewriting(change, **options):
    """A language model that replies `change(text, seed)`."""
    return FakeBackend(lambda request: change(text_of(request), request.seed), **options)


def noise(text, seed):
    """One word of sentiment is another one."""
    draw = random.Random(seed)
    words = text.split()
    words[draw.randrange(1, len(words))] = draw.choice(WORDS)
    return f"{' '.join(words)} {draw.randrange(10**6)}"


def opposite(text, seed):
    return f"{' '.join(OPPOSITE.get(word, word) for word in text.split())} v{seed}"


def plain_words(text, seed):
    """Slang in words that the classifier knows."""
    return f"{' '.join(SLANG.get(word, word) for word in text.split())} v{seed}"


def stored_file(path, variants):
    """A file for `stored`: the variants of each id."""
    lines = [json.dumps({"id": id, "variants": list(texts)}) for id, texts in variants.items()]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def tta(lm=None, **options):
    """Around the toy classifier; not fitted."""
    return TTAClassifier(options.pop("classifier", toy()), options.pop("plan", PLAN), lm, **options)


def fitted(lm=None, *, number=40, budget=None, max_id_loss=None, **options):
    texts, labels = examples(number)
    return tta(lm, **options).fit(texts, labels, budget=budget, max_id_loss=max_id_loss)
