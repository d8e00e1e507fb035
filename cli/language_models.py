"""The language models that a command line names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmaug.errors import PlanError

if TYPE_CHECKING:
    from llmaug.request import Backend

SERVED = ("chat:", "openai:")


def language_models(
    lm: str | None,
    judge: str | None,
    *,
    base_url: str | None = None,
    lm_option: list[str] | None = None,
) -> dict[str, Backend]:
    """The models by their roles, "lm" and "judge"; `lm_option` is KEY=VALUE for the first."""
    from llmaug.backends import backend

    specs = {role: spec for role, spec in (("lm", lm), ("judge", judge)) if spec}
    if base_url is not None and not any(spec.startswith(SERVED) for spec in specs.values()):
        raise PlanError("--base-url is for --lm chat:MODEL; nothing here asks a server")
    if lm_option and lm is None:
        raise PlanError("--lm-option is for --lm, which is not given")
    return {
        role: backend(
            spec, **_address(spec, base_url), **(_options(lm_option) if role == "lm" else {})
        )
        for role, spec in specs.items()
    }


def _address(spec: str, base_url: str | None) -> Mapping[str, str]:
    return {"base_url": base_url} if base_url is not None and spec.startswith(SERVED) else {}


def _options(given: list[str] | None) -> dict[str, Any]:
    """JSON values, and plain words as they are."""
    options: dict[str, Any] = {}
    for pair in given or []:
        name, equals, value = pair.partition("=")
        if not equals:
            raise PlanError(f"--lm-option {pair}: write KEY=VALUE")
        if name == "key":
            raise PlanError("a key comes from the environment only: set LLMAUG_API_KEY")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options
