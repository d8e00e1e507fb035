"""What our tests use and what plugin authors may use: fakes, a misbehaving server, contracts."""

from __future__ import annotations

from llmaug.backends.fake import FakeBackend

__all__ = ["FakeBackend"]
