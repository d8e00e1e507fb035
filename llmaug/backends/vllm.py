"""vLLM's engine in this process's care, on GPUs or the CPU."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import Mapping
from functools import cached_property
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from llmaug.backends.chat_template import ChatTemplate
from llmaug.backends.vllm_names import VllmNames, vllm_names
from llmaug.backends.weights import identity, model_folder
from llmaug.errors import (
    BackendError,
    BackendStopped,
    ModelError,
    RequestRefused,
    Unavailable,
)
from llmaug.request import Reply, Request

CPU_SLOTS, GPU_SLOTS = 128, 256  # sequences that the engine works on at once
CPU_KEYS_AND_VALUES = 2 * 2**30  # bytes; vLLM would take nearly all memory of the machine
# Engine arguments that decide how fast replies come, not what they say.
PACE_ONLY = {
    "max_num_seqs",
    "max_num_batched_tokens",
    "gpu_memory_utilization",
    "max_model_len",
    "kv_cache_memory_bytes",
}


class VllmBackend:
    """Answers requests through vLLM's `AsyncLLM`, which batches continuously.

    The window is twice the engine's slots, so that a slot never waits for this process. Each
    request is drawn with its own seed; the reply may still differ in a later run, because vLLM's
    arithmetic depends on what else is in the batch. A JSON schema in a request is enforced while
    the reply is generated. `engine_args` go to vLLM as they are (`tensor_parallel_size`,
    `quantization`, `max_num_seqs`, …).
    """

    def __init__(
        self,
        model: str,
        *,
        window: int | None = None,
        max_model_len: int | None = None,
        dtype: str | None = None,
        engine_args: Mapping[str, Any] | None = None,
    ) -> None:
        if window is not None and window < 1:
            raise BackendError(f"window must be at least 1, not {window}")
        self.model, self.name = model, f"vllm:{model}"
        self.dtype = dtype or "auto"
        self.engine_args = dict(engine_args or {})
        if max_model_len is not None:
            self.engine_args["max_model_len"] = max_model_len
        if self.engine_args.get("trust_remote_code"):
            raise BackendError(
                "trust_remote_code would run code from the model's folder; llmaug does not do that"
            )
        self._given_window = window
        self._engine: Any = None
        self._template: ChatTemplate | None = None
        self._loading: asyncio.Future[tuple[Any, ChatTemplate]] | None = None
        self._asked: set[str] = set()
        self._numbers = itertools.count()

    @cached_property
    def slots(self) -> int:
        """How many sequences the engine works on at once."""
        return int(
            self.engine_args.get("max_num_seqs")
            or (CPU_SLOTS if vllm_names().on_cpu else GPU_SLOTS)
        )

    @cached_property
    def window(self) -> int:
        return self._given_window or 2 * self.slots

    @cached_property
    def folder(self) -> Path:
        return model_folder(self.model)

    @cached_property
    def parameters(self) -> Mapping[str, Any]:
        telling = {k: v for k, v in self.engine_args.items() if k not in PACE_ONLY}
        return {"dtype": self.dtype, **identity(self.folder), **telling}

    async def start(self) -> None:
        """Start the engine (up to a minute); raises `ModelError` or `BackendStopped`."""
        if self._loading is None:
            self._loading = asyncio.get_running_loop().run_in_executor(None, self._load)
        # A start that is given up leaves an engine behind, which `close` waits for and ends.
        self._engine, self._template = await asyncio.shield(self._loading)

    def _load(self) -> tuple[Any, ChatTemplate]:
        vllm = vllm_names()
        template = ChatTemplate(_tokenizer(self.folder), model=str(self.folder))
        # The engine's processes inherit which signals are blocked. They would end at once on
        # Ctrl-C, and with them the requests that this process still wants to finish.
        resource_tracker.ensure_running()  # as this lets SIGINT through again
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            arguments = vllm.engine_args(
                **{
                    **self._defaults(vllm),
                    **self.engine_args,
                    "model": str(self.folder),
                    "trust_remote_code": False,
                }
            )
            # The defaults of offline use: throughput before the time to the first token.
            return vllm.engine.from_engine_args(
                arguments, usage_context=vllm.usage.LLM_CLASS
            ), template
        except Exception as error:  # arguments, memory, architecture, a dead child process
            raise BackendStopped(
                f"vLLM does not start with {self.model}: {_line(error)} (its log "
                "is above; VLLM_LOGGING_LEVEL=INFO shows more)"
            ) from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _defaults(self, vllm: VllmNames) -> dict[str, Any]:
        defaults = {
            "dtype": self.dtype,
            "max_num_seqs": self.slots,
            "enable_prefix_caching": True,
            "disable_log_stats": True,
            "use_tqdm_on_load": False,
            # Where a schema allows white space a model can fill its limit with it (vLLM
            # issue 38696). 0.32 reads this here and not from the request.
            "structured_outputs_config": vllm.structured_config(
                backend="xgrammar", disable_any_whitespace=True
            ),
        }
        if vllm.on_cpu:
            # On the CPU a prompt that is read in parts takes the engine down if it has a seed
            # ("CPU Generator does not use offset", 0.32), so prompts are read whole.
            defaults |= {"enforce_eager": True, "enable_chunked_prefill": False}
            if "VLLM_CPU_KVCACHE_SPACE" not in os.environ:
                defaults["kv_cache_memory_bytes"] = CPU_KEYS_AND_VALUES
        return defaults

    async def complete(self, request: Request) -> Reply:
        if self._engine is None or self._template is None:
            raise BackendStopped(f"{self.name} is not running; await start() first")
        vllm, sampling = vllm_names(), request.sampling
        tokens = self._template.tokens(request.messages)
        most = self._engine.model_config.max_model_len - sampling.max_tokens
        if len(tokens) > most:
            raise RequestRefused(
                f"too long for the model's context ({len(tokens)} tokens, limit "
                f"{most} beside a reply of {sampling.max_tokens})"
            )
        name = f"llmaug-{next(self._numbers)}"
        self._asked.add(name)
        output = None
        try:
            # Cancelling this task ends the loop, on which vLLM aborts the request.
            async for part in self._engine.generate(
                vllm.prompt(prompt_token_ids=tokens), self._parameters(vllm, request), name
            ):
                output = part
        except vllm.dead:
            raise BackendStopped(
                "vLLM's engine has died (set VLLM_LOGGING_LEVEL=INFO to see "
                "why); run the same command again to continue"
            ) from None
        except vllm.refused as error:
            raise RequestRefused(f"vLLM refuses the request: {_line(error)}") from None
        except Exception as error:
            raise Unavailable(f"vLLM failed on the request: {_line(error)}") from error
        finally:
            self._asked.discard(name)
        if self._engine is None:
            raise BackendStopped(f"{self.name} was closed")
        if output is None or output.outputs[0].finish_reason in (None, "abort", "error"):
            raise Unavailable("vLLM ended the request without a reply")
        reply = output.outputs[0]
        return Reply(
            reply.text,
            "stop" if reply.finish_reason == "stop" else "length",
            len(tokens),
            len(reply.token_ids),
        )

    @staticmethod
    def _parameters(vllm: VllmNames, request: Request) -> Any:
        sampling = request.sampling
        structured = None
        if sampling.schema is not None:
            structured = vllm.structured(json=dict(sampling.schema), disable_any_whitespace=True)
        return vllm.sampling(
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            stop=list(sampling.stop) or None,
            seed=request.seed % 2**31,
            output_kind=vllm.final_only,
            structured_outputs=structured,
        )

    async def close(self) -> None:
        """End the engine and its process; requests in flight end with `BackendStopped`."""
        if self._loading is not None:
            await asyncio.gather(self._loading, return_exceptions=True)
            if not self._loading.exception():
                self._engine, self._template = self._loading.result()
        engine, self._engine, self._loading = self._engine, None, None
        if engine is not None:
            await engine.abort(list(self._asked))
            await asyncio.to_thread(engine.shutdown)
            # vLLM does it once more when Python ends, and fails as its modules are gone by then.
            engine.shutdown = lambda: None


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise ModelError(f"cannot load the tokenizer in {folder}: {_line(error)}") from error


def _line(error: Exception) -> str:
    """The first line of an error's message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
