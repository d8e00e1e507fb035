"""What our tests use and what plugin authors may use.

`FakeBackend` is a model that needs nothing, `MisbehavingServer` an OpenAI-style server with every
fault a client must survive; `check_step` and `check_backend` are the contracts of a step and of a
backend.
"""

from __future__ import annotations

from llmaug.backends.fake import FakeBackend
from llmaug.testing_backend import check_backend
from llmaug.testing_step import StepContext, check_step
from llmaug.testserver import MisbehavingServer

__all__ = ["FakeBackend", "MisbehavingServer", "StepContext", "check_backend", "check_step"]
