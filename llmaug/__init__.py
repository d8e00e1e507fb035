"""llmaug: LLM-driven text and query augmentation, with proof of whether it helped."""

__version__ = "0.1.0"
