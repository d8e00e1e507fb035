"""Rewrites of texts on demand: the first few that a plan asks for, and more later."""

from __future__ import annotations

import re
import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from llmaug.backends import backend as backend_named
from llmaug.backends.counted import Counted
from llmaug.classify.first import first, rewrites, sources
from llmaug.classify.remembered import RememberedModel
from llmaug.errors import ReplyError, TextError
from llmaug.outcome import Drop, Failure
from llmaug.plan import Step
from llmaug.plan import check as check_plan
from llmaug.request import Backend, Classifier, Embedder, Retriever
from llmaug.stream import augment
from llmaug.text import Text

NUMBER = re.compile(r"\bn=\d+(, )?|, n=\d+\b")


@dataclass
class Rewritten:
    """What a plan made of one text: variants with the number of their source, and drops.

    `hopeless` says that it failed, and that it will if more rewrites are asked for. A reply that
    does not fit is no such failure: the next may.
    """

    variants: list[tuple[Text, int]] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    failure: str = ""
    hopeless: bool = False


class Rewriter:
    """A plan, and the models that run it; replies are kept, so that none is paid for twice.

    Without a `cache` file they are kept in a temporary folder as long as the rewriter lives.
    """

    def __init__(
        self,
        plan: Step,
        models: Mapping[str, str | Backend | None],
        *,
        embedder: Embedder | None = None,
        index: Retriever | None = None,
        classifier: Classifier | None = None,
        cache: str | Path | None = None,
        seed: int = 0,
        window: int | None = None,
    ) -> None:
        check_plan(plan)
        self.plan, self.size = plan, rewrites(plan)
        self.sources = [_mark(str(source)) for source in sources(plan)]
        self._counted = {
            role: Counted(backend_named(given) if isinstance(given, str) else given)
            for role, given in models.items()
            if given is not None
        }
        self.models = {role: RememberedModel(model) for role, model in self._counted.items()}
        self.embedder, self.index, self.classifier = embedder, index, classifier
        self.seed, self.window = seed, window
        self.noticed: Counter[str] = Counter()  # what steps noticed of the last texts
        self.cache = cache if cache is not None else self._own_folder() / "replies.sqlite"

    @property
    def calls(self) -> int:
        """Requests that were sent so far; those answered from the cache are none."""
        return sum(model.calls for model in self._counted.values())

    def first(self, texts: Sequence[Text], number: int) -> dict[str, Rewritten]:
        """The first `number` rewrites of each text, by its id; rows that fail say why."""
        found = {text.id: Rewritten() for text in texts}
        if len(found) < len(texts):
            raise TextError("two texts have the same id; give each its own")
        self.noticed = Counter[str]()
        failed: list[Failure] = []
        dropped: list[Drop] = []
        for text in augment(
            first(self.plan, number),
            texts,
            lm=self.models.get("lm"),
            judge=self.models.get("judge"),
            cache=self.cache,
            seed=self.seed,
            window=self.window,
            embedder=self.embedder,
            classifier=self.classifier,
            index=self.index,
            failed=failed,
            dropped=dropped,
            noticed=self.noticed,
        ):
            if text.made_by:
                found[text.root].variants.append((text, self.source(text.made_by)))
        for failure in failed:
            found[failure.root].failure = f"{failure.error}: {failure.message}"
            found[failure.root].hopeless = failure.error != ReplyError.__name__
        for drop in dropped:
            found[drop.text.root].drops.append(drop)
        return found

    def _own_folder(self) -> Path:
        """A temporary folder that is removed with the rewriter, or when Python ends."""
        folder = tempfile.mkdtemp(prefix="llmaug-tta-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    def source(self, made_by: str) -> int:
        """Which source of the plan wrote a variant: the first in the chain of its steps."""
        for step in _mark(made_by).split(" >> "):
            fitting = [at for at, mark in enumerate(self.sources) if step.startswith(mark)]
            if fitting:
                return max(fitting, key=lambda at: len(self.sources[at]))
        return 0


def _mark(made_by: str) -> str:
    """How a source prints, but for the number of its rewrites."""
    return NUMBER.sub("", made_by).rstrip(")")
