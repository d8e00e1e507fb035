"""How much of an engine's speed is left behind llmaug's in-process backends.

    python -m benchmarks.engines --engine transformers
    python -m benchmarks.engines --engine vllm          (in .venv-vllm)

The same requests go through the backend, all sent at once and limited to its window, and through
what one would write by hand: for transformers a loop of `generate` over batches of the same size,
sorted by length, for vLLM one call of `LLM.chat`. Both sides load the model before the clock
starts, take turns at going first, and write the same number of tokens: the model's end tokens are
taken out of its configuration. Every repeat has prompts of its own, so that no cache helps.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from llmaug import models
from llmaug.request import Backend, Message, Request, Sampling

WORDS = re.findall(
    r"\w+",
    """
    the a film book phone battery story ending price screen actor plot music delivery keyboard slow
    bright dull cheap heavy clever broken early late really never almost again because although and
    but while arrived failed worked looked sounded""",
)


class Side(NamedTuple):
    """One way of answering requests; `answer` returns the number of tokens of each reply."""

    name: str
    answer: Callable[[Sequence[Request]], list[int]]


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as scratch, asyncio.Runner() as runner:
        folder = without_end_tokens(Path(models.resolve(options.model)), Path(scratch))
        sides = {"transformers": transformers_sides, "vllm": vllm_sides}[options.engine](
            folder, options, runner
        )
        compare(sides, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", choices=["transformers", "vllm"], required=True)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--requests", type=int, default=96)
    parser.add_argument("--batch-size", type=int, default=32, help="transformers only")
    parser.add_argument("--tokens", type=int, default=64, help="of each reply")
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--top-p", type=float, default=0.9)
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args()


def without_end_tokens(model: Path, scratch: Path) -> Path:
    """A copy of a model's folder, weights linked, whose replies only end at their limit."""
    for path in model.iterdir():
        copy = scratch / path.name
        if path.name in ("config.json", "generation_config.json", "tokenizer_config.json"):
            settings = json.loads(path.read_text())
            settings["eos_token" if path.name.startswith("tokenizer") else "eos_token_id"] = None
            copy.write_text(json.dumps(settings))
        else:
            copy.symlink_to(path)
    return scratch


def requests_of(repeat: int, options: argparse.Namespace) -> list[Request]:
    """Short reviews to paraphrase, 5 to 40 words long, different in every repeat."""
    chance = random.Random(repeat)
    sampling = Sampling(
        temperature=options.temperature, top_p=options.top_p, max_tokens=options.tokens
    )
    return [
        Request(
            (
                Message(
                    "user",
                    "Rewrite this review in other words, keep its meaning.\n\n"
                    + " ".join(chance.choices(WORDS, k=chance.randint(5, 40))),
                ),
            ),
            sampling,
            seed=chance.getrandbits(31),
        )
        for _ in range(options.requests)
    ]


def through_backend(backend: Backend, runner: asyncio.Runner) -> Side:
    """The backend, asked as the engine asks it: as many requests at once as its window holds."""
    runner.run(backend.start())

    async def all_of(requests: Sequence[Request]) -> list[int]:
        slots = asyncio.Semaphore(backend.window)

        async def one(request: Request) -> int:
            async with slots:
                return (await backend.complete(request)).completion_tokens

        return await asyncio.gather(*map(one, requests))

    return Side(f"llmaug, window {backend.window}", lambda requests: runner.run(all_of(requests)))


def transformers_sides(
    folder: Path, options: argparse.Namespace, runner: asyncio.Runner
) -> tuple[Side, Side]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from llmaug.backends.transformers import TransformersBackend

    backend = TransformersBackend(str(folder), batch_size=options.batch_size)
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = (
        AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, backend.dtype))
        .to(backend.device)
        .eval()
    )
    drawing = (
        {"do_sample": False}
        if options.temperature == 0
        else {
            "do_sample": True,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "top_k": 0,
        }
    )

    def by_hand(requests: Sequence[Request]) -> list[int]:
        texts = [
            tokenizer.apply_chat_template(
                [{"role": m.role, "content": m.content} for m in request.messages],
                add_generation_prompt=True,
                tokenize=False,
            )
            for request in requests
        ]
        texts.sort(key=lambda text: len(tokenizer(text).input_ids))
        counts = []
        for start in range(0, len(texts), options.batch_size):
            batch = tokenizer(
                texts[start : start + options.batch_size],
                padding=True,
                add_special_tokens=False,
                return_tensors="pt",
            ).to(model.device)
            with torch.inference_mode():
                output = model.generate(**batch, **drawing, max_new_tokens=options.tokens)
            new = output[:, batch.input_ids.shape[1] :]
            tokenizer.batch_decode(new, skip_special_tokens=True)
            counts += [len(row) for row in new]
        return counts

    return through_backend(backend, runner), Side("a loop of generate", by_hand)


def vllm_sides(
    folder: Path, options: argparse.Namespace, runner: asyncio.Runner
) -> tuple[Side, Side]:
    from llmaug.backends.vllm import VllmBackend

    # Plain vLLM stops at the first prompt that it reads in parts, as the backend explains.
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    arguments = {"max_model_len": 1024, "enable_chunked_prefill": False, "enforce_eager": True}
    ours = through_backend(VllmBackend(str(folder), engine_args=arguments), runner)

    from vllm import LLM, SamplingParams

    engine = LLM(str(folder), enable_prefix_caching=True, **arguments)

    def by_hand(requests: Sequence[Request]) -> list[int]:
        chats: list[Any] = [
            [{"role": m.role, "content": m.content} for m in request.messages]
            for request in requests
        ]
        drawing = [
            SamplingParams(
                max_tokens=options.tokens,
                temperature=options.temperature,
                top_p=options.top_p,
                seed=request.seed,
            )
            for request in requests
        ]
        outputs = engine.chat(chats, drawing, use_tqdm=False)
        return [len(output.outputs[0].token_ids) for output in outputs]

    return ours, Side("LLM.chat", by_hand)


def compare(sides: tuple[Side, Side], options: argparse.Namespace) -> None:
    ours, theirs = sides
    warm_up = requests_of(-1, options)[:4]
    for side in sides:
        side.answer(warm_up)
    ratios = []
    for repeat in range(options.repeats):
        requests = requests_of(repeat, options)
        rates = {}
        for side in sides if repeat % 2 else sides[::-1]:
            began = time.perf_counter()
            tokens = sum(side.answer(requests))
            if tokens != options.requests * options.tokens:
                raise SystemExit(f"{side.name} wrote {tokens} tokens, not the number asked for")
            rates[side] = tokens / (time.perf_counter() - began)
        ratios.append(rates[ours] / rates[theirs])
        print(
            f"{repeat + 1}: {ours.name} {rates[ours]:.1f}, {theirs.name} {rates[theirs]:.1f} "
            f"tokens/s, ratio {ratios[-1]:.3f}",
            flush=True,
        )
    print(
        f"ratio: median {statistics.median(ratios):.3f}, "
        f"from {min(ratios):.3f} to {max(ratios):.3f} in {options.repeats} repeats "
        f"({options.requests} requests of {options.tokens} tokens, "
        f"temperature {options.temperature}, top_p {options.top_p})"
    )


if __name__ == "__main__":
    main()
