"""The options of `llmaug search` that expand its queries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from llmaug.backends.counted import Counted
from llmaug.cli.expanding import Expanding
from llmaug.errors import OutputError, PlanError

Option = typer.Option
Expand = Annotated[
    str | None, Option(help="plan that expands the queries with --lm, e.g. 'query2doc()'; or @FILE")
]
ExpansionsFile = Annotated[
    Path | None, Option(help="expansions that `llmaug expand` wrote, instead of --expand")
]
Lm = Annotated[str | None, Option(help="language model of --expand, e.g. chat:MODEL")]
Judge = Annotated[str | None, Option(help="model of steps with role='judge'")]
BaseUrl = Annotated[str | None, Option(help="address of the server for --lm chat:MODEL")]
LmOption = Annotated[list[str] | None, Option(help="KEY=VALUE for the model; again for more")]
Combine = Annotated[
    str | None,
    Option(help="how expansions are used: mix(weight=0.5), mugi_concat(), four_way(), rrf(), …"),
]
Gated = Annotated[
    str | None,
    Option(
        "--gate", help="which queries are expanded: learned(gate.json), threshold(…), [always()]"
    ),
]
RepliesFile = Annotated[
    Path | None, Option(help="file of the model's replies [default: OUTPUT.replies.sqlite]")
]
Seed = Annotated[int, Option(help="decides every random choice of --expand")]
Window = Annotated[int | None, Option(min=1, help="requests to the model in flight at most")]
SaveExpansions = Annotated[
    Path | None, Option(help="also keep what was written for the queries: expansions.jsonl")
]
Explain = Annotated[
    str | None, Option(metavar="QID", help="show what expansion does to one query, and why")
]
ONLY_EXPAND = ("lm", "judge", "base_url", "lm_option", "cache", "window", "save_expansions")


def asked_for(
    *,
    expand: str | None = None,
    expansions: Path | None = None,
    lm: str | None = None,
    judge: str | None = None,
    base_url: str | None = None,
    lm_option: list[str] | None = None,
    combine: str | None = None,
    gate: str | None = None,
    cache: Path | None = None,
    seed: int = 0,
    window: int | None = None,
    save_expansions: Path | None = None,
    explain: str | None = None,
    output: str | None = None,
) -> Expanding | None:
    """What these options of a search ask for; None where they ask for no expansion.

    Raises the error of every option that is wrong in itself, before anything is opened or asked.
    """
    given = {name: value for name, value in locals().items() if value not in (None, [])}
    if expand is not None and expansions is not None:
        raise PlanError("--expand writes expansions and --expansions reads them; give one of both")
    if explain is not None and save_expansions is not None:
        raise PlanError("--explain writes for one query only; leave --save-expansions")
    if expand is None:
        source = ONLY_EXPAND if expansions else (*ONLY_EXPAND, "combine", "gate", "explain")
        for name in source:
            if name in given:
                first = "--expand PLAN" + ("" if name in ONLY_EXPAND else " or --expansions FILE")
                raise PlanError(f"--{name.replace('_', '-')} is for a search with {first}")
        if expansions is None:
            return None
    return _checked(given, output=output)


def _checked(given: Mapping[str, Any], *, output: str | None) -> Expanding:
    from llmaug import plan as plans
    from llmaug.cli.language_models import language_models
    from llmaug.notation import plan_file
    from llmaug.retrieval.combine import parse_combination
    from llmaug.retrieval.expansions import read_expansions
    from llmaug.retrieval.gate import parse_gate
    from llmaug.vocabulary import parse

    options: dict[str, Any] = {name: given.get(name) for name in ("cache", "window", "explain")}
    plan, file, save = (given.get(name) for name in ("expand", "expansions", "save_expansions"))
    combine, gate = given.get("combine"), given.get("gate")
    step = None
    if plan is not None:
        step = parse(plan_file(plan[1:]) if plan.startswith("@") else plan)
        plans.check(step, frozenset())
    models = language_models(
        *(given.get("lm"), given.get("judge")),
        **{name: given.get(name) for name in ("base_url", "lm_option")},
    )
    if save is not None:
        _check_save(save)
    if options["cache"] is None and models and output not in (None, "-"):
        options["cache"] = Path(f"{output}.replies.sqlite")
    return Expanding(
        plan=step,
        written=read_expansions(file) if file is not None else None,
        models={role: Counted(model) for role, model in models.items()},
        combine=parse_combination(combine) if combine is not None else None,
        gate=parse_gate(gate) if gate is not None else None,
        seed=given.get("seed", 0),
        save=save,
        file=file,
        **options,
    )


def _check_save(path: Path) -> None:
    from llmaug.formats.endings import check_output, ending

    if ending(path) not in (".jsonl", ".ndjson"):
        raise OutputError(f"{path}: expansions are written as JSON lines; name it .jsonl")
    check_output(path)
