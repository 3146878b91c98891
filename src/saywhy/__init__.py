"""saywhy measures whether a model's explanation of its own answer is faithful, trains it, and proves it."""

__version__ = "0.1.0"
