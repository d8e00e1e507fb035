"""How a retriever is trained: every choice as a plain value with its default."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from llmaug.errors import PlanError, did_you_mean
from llmaug.retrieval.measure_names import parse_measure

HEADS = ("identity", "linear", "mlp", "reweight")
SCHEDULES = ("constant", "linear", "epoch")
CURRICULA = ("shuffled", "easy_to_hard", "cyclic")
MODULATIONS = ("none", "slr", "llr")
SOURCES = ("dense", "bm25")
PICKS = ("random", "hardest")
CORRECTIONS = ("max_t", "holm")  # of p for several candidates; see `llmaug.significance`
HIGHEST_SEED = 2**32 - 1  # that NumPy takes


@dataclass(frozen=True)
class MiningSettings:
    """Which documents become hard negatives, and how many; see `llmaug.training.mine`.

    Candidates stand at the places `first` to `last` of the rankings of `sources`. One goes when
    its cosine is above the positive's less `margin`, or less `relative_margin` times the size of
    the positive's, or when its teacher score, from 0 to 1, is above `teacher_ratio` times the
    positive's, unless that is 0: the rule by which a loss's `mask_ratio` masks those that stay.
    """

    negatives: int = 4
    sources: tuple[str, ...] = ("dense", "bm25")
    first: int = 1
    last: int = 100
    pick: str = "random"  # or "hardest"
    margin: float | None = None
    relative_margin: float | None = 0.05
    teacher_ratio: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)
        _one_of("pick", self.pick, PICKS)
        for source in self.sources:
            _one_of("a source", source, SOURCES)
        if not self.sources or len(set(self.sources)) < len(self.sources):
            raise PlanError(f"sources are dense, bm25 or both, each once; not {self.sources}")
        if self.negatives < 1:
            raise PlanError(f"negatives must be at least 1, not {self.negatives}")
        if not 1 <= self.first <= self.last:
            raise PlanError(f"first is 1 or more and last no less, not {self.first}, {self.last}")
        for name in ("margin", "relative_margin", "teacher_ratio"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 2:  # cosines lie at most 2 apart
                raise PlanError(f"{name} must be between 0 and 2, or null, not {value}")


@dataclass(frozen=True)
class LossSettings:
    """What is minimised; see `llmaug.training.losses`. Each part is off at its zero.

    `infonce`, `distil` and `margin_mse` weigh the three losses. `in_batch` lets the documents of
    other queries in the batch be negatives, `mask_known` keeps documents that are known to answer
    a query, and second copies, from being its negatives; `mask_ratio` does so to documents whose
    teacher score, from 0 to 1, is above this share of the positive's (the miner's `teacher_ratio`
    drops them before), and `mask_similar` to those that the model itself finds nearer than the
    positive by more than this. `hardness` is the most that a negative's own cosine adds to its
    logit. `mixed` and `mixed_query` are how many negatives MoCHi mixes from pairs of the
    `mix_among` hardest, and from them and the query, once the share `mix_from` of all steps is
    done. `head` is thrown away after training.
    """

    temperature: float = 0.05
    infonce: float = 1.0
    in_batch: bool = True
    distil: float = 0.0
    student_temperature: float = 0.05
    teacher_temperature: float = 0.3
    margin_mse: float = 0.0
    mask_known: bool = True
    mask_ratio: float | None = None
    mask_similar: float | None = None
    hardness: float = 0.0
    hardness_schedule: str = "linear"
    mixed: int = 0
    mixed_query: int = 0
    mix_among: int = 32
    mix_from: float = 0.1  # share of all steps
    head: str = "identity"
    head_decay: float = 1.01  # of "reweight": dimension i weighs decay^-i
    matryoshka: tuple[int, ...] = ()
    mini_batch: int | None = 32  # texts in one pass of the model; None: no gradient cache
    gather: bool = False  # negatives from all processes

    def __post_init__(self) -> None:
        _one_of("head", self.head, HEADS)
        _one_of("hardness_schedule", self.hardness_schedule, SCHEDULES)
        for name in ("temperature", "student_temperature", "teacher_temperature", "head_decay"):
            if not 0 < getattr(self, name) < math.inf:
                raise PlanError(f"{name} is {getattr(self, name)}; it is a number above 0")
        for name in ("infonce", "distil", "margin_mse", "hardness", "mixed", "mixed_query"):
            _at_least(name, getattr(self, name), 0)
        _at_least("mix_among", self.mix_among, 2)
        if self.mini_batch is not None:
            _at_least("mini_batch", self.mini_batch, 1)
        for width in self.matryoshka:
            _at_least("matryoshka", width, 1)
        if self.mask_ratio is not None and not 0 <= self.mask_ratio <= 2:
            raise PlanError(f"mask_ratio must be between 0 and 2, or null, not {self.mask_ratio}")
        if self.mask_similar is not None and not math.isfinite(self.mask_similar):
            raise PlanError(f"mask_similar is {self.mask_similar}; it is a number, or null")
        if not self.infonce + self.distil + self.margin_mse:
            raise PlanError("infonce, distil and margin_mse are all 0; give one of them a weight")
        if not 0 <= self.mix_from <= 1:
            raise PlanError(f"mix_from is {self.mix_from}; it is a share of all steps, 0 to 1")
        if self.gather and not self.in_batch:
            raise PlanError("gather without in_batch does nothing; leave one of them out")


@dataclass(frozen=True)
class TrainingSettings:
    """How long, how fast and on what; see `llmaug.training.train`.

    `batch` is in pairs and for each process. `ratio` is how many synthetic pairs go with one human
    pair in an epoch, None for all there are. `steps` ends training early. `warmup` is a share of
    all steps, after which the learning rate falls to 0 in a line. `clip` is the longest gradient,
    0 for any. The modulation starts at zero and has a learning rate of its own, `modulation_rate`.
    A checkpoint is written every `checkpoint` steps, None for every epoch, and after the last step.
    """

    loss: LossSettings = field(default_factory=LossSettings)
    epochs: int = 1
    steps: int | None = None
    batch: int = 64
    learning_rate: float = 2e-5
    warmup: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    query_tokens: int = 64
    document_tokens: int = 256
    dropout: bool = True
    ratio: float | None = None
    curriculum: str = "shuffled"
    cycles: int = 3  # of "cyclic", in an epoch
    modulation: str = "none"
    modulation_rank: int | None = 32  # None: the full matrix
    modulation_rate: float = 1e-3
    lora_rank: int = 0
    lora_alpha: int = 16
    checkpoint: int | None = None
    bf16: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)
        _one_of("curriculum", self.curriculum, CURRICULA)
        _one_of("modulation", self.modulation, MODULATIONS)
        for name in ("epochs", "batch", "query_tokens", "document_tokens", "cycles"):
            _at_least(name, getattr(self, name), 1)
        for name in ("steps", "modulation_rank", "checkpoint"):
            if getattr(self, name) is not None:
                _at_least(name, getattr(self, name), 1)
        for name in ("weight_decay", "clip", "warmup", "lora_rank", "ratio"):
            _at_least(name, getattr(self, name) or 0, 0)
        for name in ("learning_rate", "modulation_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise PlanError(f"{name} is {getattr(self, name)}; it is a number above 0")
        if self.warmup >= 1:
            raise PlanError(f"warmup is {self.warmup}; it is a share of the steps, below 1")
        if self.lora_rank and self.lora_alpha < 1:
            raise PlanError(f"lora_alpha is {self.lora_alpha}; it is 1 at least")


@dataclass(frozen=True)
class GateSettings:
    """When a trained model is returned; see `llmaug.training.harm_gate`.

    Candidates are the base and its interpolations with the tuned weights at `weights` (1 is the
    tuned model). One that is not better than the base in `measure` on the dev queries at level
    `alpha`, one-sided and corrected for how many were tried, is not returned.
    """

    weights: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    measure: str = "nDCG@10"
    alpha: float = 0.05
    correction: str = "max_t"
    fewest: int = 20  # dev queries below which nothing is decided
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)
        parse_measure(self.measure)
        _one_of("correction", self.correction, CORRECTIONS)
        if not self.weights or not all(0 < weight <= 1 for weight in self.weights):
            raise PlanError(f"the gate's weights lie above 0 and up to 1, not {self.weights}")
        if len(set(self.weights)) < len(self.weights):
            raise PlanError(f"the gate's weights {self.weights} hold one twice; leave it out")
        if not 0 < self.alpha < 1:
            raise PlanError(f"the gate's alpha is a chance between 0 and 1, not {self.alpha}")
        if self.fewest < 1:
            raise PlanError(f"the gate needs at least 1 dev query (fewest), not {self.fewest}")


def check_seed(seed: int) -> None:
    """Raise `PlanError` for a seed that not all random generators take."""
    if not 0 <= seed <= HIGHEST_SEED:
        raise PlanError(f"seed is {seed}; it is a whole number from 0 to {HIGHEST_SEED:,}")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise PlanError(f"{name} is {value!r}; {did_you_mean(str(value), known)}")


def _at_least(name: str, value: float, least: int) -> None:
    if not least <= value < math.inf:
        raise PlanError(f"{name} is {value}; it is {least} at least")
