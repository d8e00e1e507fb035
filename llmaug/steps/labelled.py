"""`other_than` and `labelled`: for methods that give their variants another label."""

from __future__ import annotations

from dataclasses import dataclass

from llmaug.errors import PlanError
from llmaug.plan import Context, Step
from llmaug.text import Text


@dataclass(frozen=True, repr=False)
class OtherThan(Step):
    """The texts whose field is not this label already; the others are dropped as "already …".

    A text without the field passes. A label of another kind than `value`, such as the string
    "1" where the plan says 1, fails the row: the two would be different classes in what is made.
    """

    field: str
    value: str | int

    def check(self) -> None:
        check_label(self.field, self.value)

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        kept = []
        for text in texts:
            own = text.meta.get(self.field)
            if own is not None and type(own) is not type(self.value):
                raise PlanError(
                    f"the text {text.id!r} has the label {own!r} in the field {self.field!r}, "
                    f"which is of another kind than {self.value!r}; write labels as the input does"
                )
            if own == self.value:
                made = text.derive("", made_by=str(self), id=text.id)
                ctx.drop(made, f"already {self.value!r}")
            else:
                kept.append(text)
        return kept


@dataclass(frozen=True, repr=False)
class Labelled(Step):
    """Variants with this label as their field; inputs pass as they are."""

    field: str
    value: str | int

    @property
    def gives(self) -> frozenset[str]:
        return frozenset({self.field})

    def check(self) -> None:
        check_label(self.field, self.value)

    async def apply(self, texts: list[Text], ctx: Context) -> list[Text]:
        return [
            text.with_meta(**{self.field: self.value}) if text.made_by else text for text in texts
        ]


def check_label(field: str, value: str | int) -> None:
    """Raise `PlanError` unless the field is a name and the value a label."""
    if not isinstance(field, str) or not field:
        raise PlanError(f"label={field!r}: must be the name of the field that holds the label")
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise PlanError(f"to={value!r}: must be a label, a string or a whole number")
