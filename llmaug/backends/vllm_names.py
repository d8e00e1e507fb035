"""Everything that llmaug uses of vLLM, imported in one place and checked."""

from __future__ import annotations

import functools
import os
from typing import Any, NamedTuple

from llmaug.errors import BackendStopped, MissingExtra

# What vLLM and the processes that it starts read: quiet, and nothing reported to anybody. A value
# that the user has set stays.
ENVIRONMENT = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "PYTHONWARNINGS": "ignore::FutureWarning",
}


class VllmNames(NamedTuple):
    """What is used of vLLM, under names of our own."""

    engine: Any
    engine_args: Any
    usage: Any
    sampling: Any
    structured: Any
    structured_config: Any
    final_only: Any
    prompt: Any
    dead: Any
    refused: tuple[type[Exception], ...]
    on_cpu: bool


@functools.cache
def vllm_names() -> VllmNames:
    """vLLM's names; raises `MissingExtra`, or `BackendStopped` for a version without them."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import vllm
    except ImportError:
        raise MissingExtra("vllm", "vllm") from None
    try:
        from vllm import SamplingParams, TokensPrompt
        from vllm.config import StructuredOutputsConfig
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.platforms import current_platform
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.async_llm import AsyncLLM
        from vllm.v1.engine.exceptions import EngineDeadError
    except ImportError as error:
        raise BackendStopped(
            f"vllm {vllm.__version__} is not as llmaug knows it ({error}); "
            "install a version from 0.18 to 0.32"
        ) from None
    refused: tuple[type[Exception], ...] = (ValueError, TypeError)
    try:
        from vllm.exceptions import VLLMClientError

        refused = (*refused, VLLMClientError)
    except ImportError:
        pass  # older versions refuse with ValueError
    return VllmNames(
        AsyncLLM,
        AsyncEngineArgs,
        UsageContext,
        SamplingParams,
        StructuredOutputsParams,
        StructuredOutputsConfig,
        RequestOutputKind.FINAL_ONLY,
        TokensPrompt,
        EngineDeadError,
        refused,
        current_platform.is_cpu(),
    )
