"""Methods that make training texts of a chosen class."""

from __future__ import annotations

from collections.abc import Mapping

from llmaug.methods.method import method
from llmaug.plan import Step, then
from llmaug.steps.clean import Clean
from llmaug.steps.exemplars import Label
from llmaug.steps.filters import Dedupe
from llmaug.steps.generate import Generate
from llmaug.steps.labelled import Labelled, OtherThan
from llmaug.steps.of_class import OfClass, check_names, named


@method
def counterfactual(
    *,
    to: Label,
    n: int = 1,
    label: str = "label",
    names: Mapping[Label, str] | None = None,
    temperature: float | None = None,
) -> Step:
    """The text with the smallest edit that gives it the label `to`.

    Kaushik et al. 2020 (arXiv 1909.12434). A variant has `to` in the field `label`; a text that
    has that label already is dropped. `names` says what the prompt calls a label, such as
    {0: "negative", 1: "positive"}. Departs in that a model edits in place of people, zero-shot,
    without being told the old label, and that nothing checks whether the edit is small or the new
    label right, short of filters behind it; an answer that equals the text is dropped.
    """
    check_names(names or {})
    asked = {"label": named(to, names or {})}
    return then(
        OtherThan(label, to),
        Generate("counterfactual", n=n, temperature=temperature, inputs=asked),
        Clean(),
        Dedupe(),
        Labelled(label, to),
    )


@method
def label_conditioned(
    n: int = 1,
    *,
    label: str = "label",
    names: Mapping[Label, str] | None = None,
    examples: str | None = None,
    k: int = 4,
    pick: str = "seeded",
    temperature: float | None = None,
) -> Step:
    """New texts of the same class as the text, which is one of their seeds.

    The class is in the text's field `label`, and the new texts have it too; `names` says what
    the prompt calls it. With the file `examples`, `k` of its texts of that class are shown as
    well, drawn as in `icr`. In the manner of GPT3Mix (Yoo et al. 2021, arXiv 2104.08826) and
    LAMBADA (Anaby-Tavor et al. 2020, arXiv 1911.03118). Departs from the first in that seeds are
    of one class, so labels are hard, not mixed and soft; from the second in that no model is
    fine-tuned and nothing filters the new texts by a classifier, short of filters behind it.
    What repeats the text or an exemplar is dropped.
    """
    return then(
        OfClass(
            "label_conditioned",
            n=n,
            label=label,
            names=names or {},
            examples=examples,
            k=k,
            pick=pick,
            temperature=temperature,
        ),
        Dedupe(),
    )
