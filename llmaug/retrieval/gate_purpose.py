"""The search that a gate was fitted for: in another one its decisions mean nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from llmaug.errors import PlanError
from llmaug.formats.fields import short
from llmaug.retrieval.combine import default_combination
from llmaug.retrieval.fuse import rrf

if TYPE_CHECKING:
    from llmaug.retrieval.combination import Combination
    from llmaug.retrieval.fuse import Fusion


class Purpose(NamedTuple):
    """The search and measure whose gain a gate was fitted on, as they are written.

    `fusion` is None where the mode fuses nothing, `depth` where no fusion looks that deep.
    """

    mode: str
    combination: str
    fusion: str | None
    depth: int | None
    measure: str

    def check(self, searched: Purpose, *, gate: str) -> None:
        """Raise `PlanError` where mode, combination or fusion are not those of the search."""
        for name in ("mode", "combination", "fusion"):
            mine, other = getattr(self, name), getattr(searched, name)
            if mine != other:
                raise PlanError(
                    f"{gate} was fitted for the {name} {short(str(mine))}, and this search has "
                    f"{short(str(other))}; search as it was fitted, or fit a gate for this search"
                )


def purpose(
    mode: str,
    combine: Combination | None,
    *,
    fusion: Fusion | None = None,
    depth: int | None = None,
    measure: str = "",
) -> Purpose:
    """The purpose that a search in a mode has; None stands for the defaults of `llmaug.search`."""
    how, hybrid = combine or default_combination(mode), mode == "hybrid"
    return Purpose(
        mode,
        str(how),
        str(fusion or rrf()) if hybrid else None,
        depth if hybrid or how.fuses else None,
        measure,
    )


def purpose_in(content: Any) -> Purpose | None:
    """The purpose that a gate file holds, None where it holds none; `ValueError` for others."""
    if content is None:
        return None
    if not isinstance(content, dict) or content.keys() != set(Purpose._fields):
        raise ValueError(f"its for is not an object of {', '.join(Purpose._fields)}")
    for name, value in content.items():
        if name == "depth":
            right = value is None or (type(value) is int and value > 0)
        else:
            right = isinstance(value, str) or (name == "fusion" and value is None)
        if not right:
            raise ValueError(f"{name} in its for is {short(str(value))}")
    return Purpose(**content)
