"""The arms of the training benchmark: what is trained on what, with what switched on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from llmaug.training.settings import LossSettings, MiningSettings, TrainingSettings

PLAIN = LossSettings()
# Listwise distillation from BM25 + dense fusion, with InfoNCE beside it.
FULL = LossSettings(distil=1.0, infonce=1.0, teacher_temperature=0.1)

# WORDS was chosen by hand (see RESULTS.md), MINILM was not tuned; the same for all arms of a start.
WORDS = TrainingSettings(
    loss=PLAIN, epochs=8, batch=32, learning_rate=3e-3, weight_decay=0.0, document_tokens=256
)
MINILM = TrainingSettings(
    loss=PLAIN, epochs=2, batch=32, learning_rate=2e-5, document_tokens=128, bf16=True
)
MINING = MiningSettings(negatives=12, last=30, relative_margin=None)
FEWER = MiningSettings(negatives=2)

# Synthetic pairs for a human one. There are too few of them for more than 1.2 for each of all.
RATIOS = {"human_few": (0.0, 0.5, 1.0, 2.0, 4.0), "human_clean": (0.0, 0.5, 1.0, 4.0)}


@dataclass(frozen=True)
class Arm:
    """A start, the pairs it is trained on, and how; measured with the gate where `gate`."""

    name: str
    start: str
    pairs: tuple[str, ...]
    training: TrainingSettings
    mining: MiningSettings = MINING
    gate: bool = False


def arms() -> dict[str, Arm]:
    """All arms by name."""
    made = [*_main(), *_ablations()]
    return {arm.name: arm for arm in made}


def _main() -> list[Arm]:
    found = []
    for start, settings, mining in (("words", WORDS, MINING), ("minilm", MINILM, FEWER)):
        full = replace(settings, loss=FULL)
        for pairs in ("human", "human_clean", "synthetic"):
            name = f"{start}: {pairs}"
            found.append(Arm(f"{name}, InfoNCE", start, (pairs,), settings, mining))
            found.append(Arm(f"{name}, full", start, (pairs,), full, mining, gate=True))
    return found


def _ablations() -> list[Arm]:
    """Each component alone on top of InfoNCE with mined negatives, from the weak start."""
    loss = {
        "distillation": {"distil": 1.0},
        "distillation, InfoNCE at 0.1": {"distil": 1.0, "infonce": 0.1},
        "MarginMSE": {"margin_mse": 1.0},
        "no mask of known answers": {"mask_known": False},
        "mask by similarity": {"mask_similar": 0.0},
        "mask by teacher, 0.9": {"mask_ratio": 0.9},
        "scheduled hardness 5": {"hardness": 5.0},
        "MoCHi 16 + 16": {"mixed": 16, "mixed_query": 16},
        "head linear": {"head": "linear"},
        "head mlp": {"head": "mlp"},
        "head reweight": {"head": "reweight"},
        "Matryoshka 96, 192": {"matryoshka": (96, 192)},
    }
    training = {
        "LexSemBridge SLR": {"modulation": "slr"},
        "LexSemBridge LLR": {"modulation": "llr"},
        "curriculum easy to hard": {"curriculum": "easy_to_hard"},
        "curriculum cyclic": {"curriculum": "cyclic"},
    }
    found = []
    for pairs in ("human_clean", "synthetic"):
        for name, changed in loss.items():
            settings = replace(WORDS, loss=replace(PLAIN, **changed))
            found.append(Arm(f"words: {pairs} + {name}", "words", (pairs,), settings))
        for name, changed in training.items():
            settings = replace(WORDS, **changed)
            found.append(Arm(f"words: {pairs} + {name}", "words", (pairs,), settings))
        one = replace(MINING, negatives=1)
        found.append(Arm(f"words: {pairs}, 1 negative", "words", (pairs,), WORDS, one))
    for human, ratios in RATIOS.items():
        for ratio in ratios:
            settings = replace(WORDS, ratio=ratio)
            name = f"words: {human} + synthetic, ratio {ratio:g}"
            found.append(Arm(name, "words", (human, "synthetic"), settings))
    return found
