"""What `llmaug tta` is given: models, a classifier, labelled texts, and where replies are kept."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from typer import Exit, Option

from llmaug.backends.counted import Counted
from llmaug.cli.stages import Stages
from llmaug.errors import OutputError

if TYPE_CHECKING:
    import numpy as np

    from llmaug.classify.labels import Class
    from llmaug.classify.tta import TTAClassifier
    from llmaug.plan import Step
    from llmaug.request import Classifier, Embedder
    from llmaug.text import Text

AT_ONCE = 256  # texts between two signs of progress

# Options that mean the same in every command.
ClassifierFolder = Annotated[
    Path,
    Option("--classifier", help="of `llmaug classify train`, or of a transformers classifier"),
]
Classes = Annotated[
    str | None,
    Option(help="what a transformers folder calls LABEL_0,LABEL_1: negative,positive"),
]
Lm = Annotated[
    str | None, Option(help="the language model, e.g. transformers:smollm2-135m, chat:MODEL")
]
Judge = Annotated[str | None, Option(help="the model of steps with role='judge'")]
BaseUrl = Annotated[str | None, Option(help="address of the server for chat:MODEL")]
LmOption = Annotated[
    list[str] | None, Option(help="KEY=VALUE for the language model; again for more")
]
EmbedderName = Annotated[
    str | None, Option("--embedder", help="for similar() and icr(): minilm, a folder, …")
]
Window = Annotated[int | None, Option(min=1, help="requests in flight at most")]
TextField = Annotated[str | None, Option("--text", help="field of the text [default: text]")]
IdField = Annotated[str | None, Option("--id", help="field of the id [default: id, else _id]")]
LabelField = Annotated[str, Option("--label", help="field of the label")]
Device = Annotated[str | None, Option(help="of the classifier: cpu, cuda, …")]


class Watched:
    """A classifier that tells how many texts it has read, also while it reads many."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self.name, self.fingerprint = classifier.name, classifier.fingerprint
        self.classes = classifier.classes
        self.read = 0
        self.told: Callable[[int], None] = lambda texts: None

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        import numpy as np

        parts = [np.zeros((0, len(self.classes)))]
        for start in range(0, len(texts), AT_ONCE):
            part = texts[start : start + AT_ONCE]
            parts.append(self.classifier.probabilities(part))
            self.read += len(part)
            self.told(self.read)
        return np.concatenate(parts)


class LabelledTexts(NamedTuple):
    """The texts of a file with their ids, and their labels, in its order."""

    texts: list[Text]
    labels: list[Class]


class Models(NamedTuple):
    """The models that rewrite: language models by role, and what compares texts."""

    language: Mapping[str, Counted]
    embedder: Embedder | None

    def check(self, plan: Step, classifier: Classifier) -> None:
        """Raise `PlanError` where a step needs a model that was not given."""
        from llmaug.engine import Engine

        engine = Engine(
            plan,
            backends=self.language,
            embed=self.embedder.encode if self.embedder else None,
            classify=classifier.probabilities,
        )
        engine.models.check(plan)


def show_work(shown: Stages, models: Models, classifier: Watched) -> None:
    """Show every call and every text that is classified from now on."""
    classifier.told = lambda texts: shown.update("texts and rewrites classified", texts, None)
    for model in models.language.values():
        model.told = lambda calls: shown.update("calls of the language model", calls, None)


def models_named(
    lm: str | None,
    judge: str | None,
    *,
    base_url: str | None,
    lm_option: list[str] | None,
    embedder: str | None,
) -> Models:
    """The models of a command line; none is loaded before it is used."""
    from llmaug.cli.language_models import language_models

    found = language_models(lm, judge, base_url=base_url, lm_option=lm_option)
    counted = {role: Counted(model) for role, model in found.items()}
    if embedder is None:
        return Models(counted, None)
    from llmaug.embedders.embed import embedder as embedder_named

    return Models(counted, embedder_named(embedder))


def classifier_in(folder: Path, *, classes: str | None, device: str | None) -> Watched:
    """The classifier of a folder; `classes` are names with commas between them."""
    from llmaug.classify.classifiers import classifier

    names = [one.strip() for one in classes.split(",")] if classes is not None else None
    return Watched(classifier(folder, classes=names, device=device))


def labelled_texts(
    path: Path, *, text: str | None, id: str | None, label: str, classifier: Classifier
) -> LabelledTexts:
    """The texts and labels of a file; raises `TextError` as `read_labelled` does.

    A label that a table made a string of is the class that is written the same way.
    """
    from llmaug.classify.labelled import read_labelled
    from llmaug.classify.scores import placed
    from llmaug.text import read

    labels = read_labelled(path, text=text, label=label).labels
    known = dict(enumerate(classifier.classes))
    numbers = placed(labels, classifier.classes)
    return LabelledTexts(
        list(read(path, text=text, id=id)),
        [known.get(number, one) for number, one in zip(numbers, labels, strict=True)],
    )


def replies_beside(path: Path, cache: Path | None, models: Models) -> Path | None:
    """The file that replies are kept in: the one named, else one beside `path`."""
    if cache is not None or not models.language:
        return cache
    return path.with_name(f"{path.name}.replies.sqlite")


def check_not_read(output: Path, *read: Path | None) -> None:
    """Raise `OutputError` where an output would replace what is read."""
    for other in read:
        if other is not None and output.resolve() == other.resolve():
            raise OutputError(f"{output} is also read or written; name another output")


@contextlib.contextmanager
def interruptible(cache: Path | None) -> Iterator[None]:
    """Ctrl-C ends the command with status 130, and is told how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        kept = f"replies are kept in {cache}: run the same command again to go on"
        print(f"interrupted; {kept if cache else 'nothing was written'}", file=sys.stderr)
        raise Exit(130) from None


def loaded(
    file: Path,
    classifier: Classifier,
    models: Models,
    *,
    cache: Path | None,
    window: int | None,
    fields: frozenset[str] | None = None,
) -> TTAClassifier:
    """What `llmaug tta fit` wrote, ready to decide on texts with these meta fields.

    Raises `PlanError` where a text that it opens could not be rewritten: a model is missing.
    """
    from llmaug import plan as plans
    from llmaug.classify.tta import TTAClassifier

    fitted = TTAClassifier.load(
        file, classifier, **models.language, embedder=models.embedder, cache=cache, window=window
    )
    plan = fitted.rewriter_.plan
    plans.check(plan, fields)
    if fitted.policy_.threshold < math.inf:
        models.check(plan, classifier)
    return fitted
