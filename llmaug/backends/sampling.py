"""Drawing the next token of every row of a batch, each with its own seed and settings.

Loaded together with torch, when a model is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from llmaug.request import Request

BLOCK = 256  # tokens that are summed before looking closer
FIRST_LOOK = 64  # most likely tokens that usually hold the whole nucleus
WIDER = 16  # times as many when they did not


class RowSampler:
    """A logits processor that decides the next token of each row and leaves only it possible.

    `generate` then takes the most likely token, which is that one. Each row has its own stream of
    random numbers, made from its seed, one number a token. So a reply does not depend on which
    other requests are in the batch, apart from rounding in the model itself. Temperature 0 takes
    the most likely token.
    """

    def __init__(self, requests: Sequence[Request], *, device: Any) -> None:
        sampling = [request.sampling for request in requests]
        steps = max(s.max_tokens for s in sampling)
        self.uniforms = torch.from_numpy(
            np.stack([_stream(request.seed, steps) for request in requests], axis=1)
        ).to(device)
        self.temperatures = torch.tensor([[s.temperature] for s in sampling], device=device)
        self.top_p = torch.tensor([[s.top_p] for s in sampling], device=device)
        self.step = 0

        def rows(chosen: Sequence[bool]) -> Any:
            return torch.tensor(
                [i for i, c in enumerate(chosen) if c], device=device, dtype=torch.long
            )

        self.greedy = rows([s.temperature <= 0 for s in sampling])
        self.nucleus = rows([s.temperature > 0 and s.top_p < 1 for s in sampling])
        self.whole = rows([s.temperature > 0 and s.top_p >= 1 for s in sampling])

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        tokens = torch.empty(len(scores), dtype=torch.long, device=scores.device)
        uniforms = self.uniforms[self.step]
        if len(self.greedy):
            tokens[self.greedy] = scores[self.greedy].argmax(-1)
        if len(rows := self.whole):
            scaled = scores[rows] / self.temperatures[rows]
            tokens[rows] = draw(scaled.softmax(-1), uniforms[rows])
        if len(rows := self.nucleus):
            scaled = scores[rows] / self.temperatures[rows]
            tokens[rows] = draw_nucleus(scaled, uniforms[rows], top_p=self.top_p[rows])
        self.step += 1
        return scores.fill_(-torch.inf).scatter_(1, tokens[:, None], 0.0)


def _stream(seed: int, steps: int) -> Any:
    # 24 random bits, so that in double precision a number times a total stays below the total.
    return np.random.Generator(np.random.Philox(seed % 2**64)).random(steps, dtype=np.float32)


def draw(weights: Any, uniforms: Any) -> Any:
    """One index a row, as likely as its weight: where the running sum passes the uniform number.

    `weights` (n, m) are at least 0 and need not sum to 1; `uniforms` (n,) are in [0, 1). The
    sum runs in order of the index, so that tokens of nearly equal weight are never swapped.
    """
    blocks = torch.nn.functional.pad(weights, (0, -weights.shape[1] % BLOCK))
    blocks = blocks.view(len(weights), -1, BLOCK)
    sums = blocks.sum(-1, dtype=torch.float64)
    running = sums.cumsum(-1)
    target = uniforms.double()[:, None] * running[:, -1:]
    block = _first_above(running, target)
    target = target - running.gather(1, block) + sums.gather(1, block)
    chosen = blocks.gather(1, block[:, :, None].expand(-1, 1, BLOCK))[:, 0]
    inside = chosen.cumsum(-1, dtype=torch.float64)
    # Rounding may push the target just outside of the block, onto an index without weight.
    target = torch.minimum(target.clamp(min=0), inside[:, -1:] * (1 - 2**-40))
    return (block * BLOCK + _first_above(inside, target))[:, 0]


def _first_above(running: Any, target: Any) -> Any:
    return torch.searchsorted(running, target, right=True).clamp(max=running.shape[1] - 1)


def draw_nucleus(logits: Any, uniforms: Any, *, top_p: Any) -> Any:
    """One index a row from the fewest likely ones that together reach `top_p`, shape (n, 1).

    Holtzman et al. 2020, section 3.1. Sorting a whole vocabulary costs more than a small model's
    step, so only the most likely tokens are sorted, and more of them where they do not suffice.
    """
    log_total = logits.logsumexp(-1, keepdim=True)
    tokens = torch.empty(len(logits), dtype=torch.long, device=logits.device)
    todo = torch.arange(len(logits), device=logits.device)
    look = FIRST_LOOK
    while len(todo):
        look = min(look, logits.shape[1])
        values, ids = logits[todo].topk(look)
        weights = (values - log_total[todo]).exp()
        before = weights.cumsum(-1) - weights
        enough = before[:, -1] + weights[:, -1] >= top_p[todo, 0]
        if look == logits.shape[1]:
            enough[:] = True
        weights[:, 1:].masked_fill_(before[:, 1:] >= top_p[todo], 0.0)
        ids, order = ids.sort(-1)
        drawn = draw(weights.gather(1, order), uniforms[todo])
        tokens[todo[enough]] = ids.gather(1, drawn[:, None])[enough, 0]
        todo = todo[~enough]
        look *= WIDER
    return tokens
