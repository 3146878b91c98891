"""How much is computed at once: found from the free memory, halved when that runs out."""

from __future__ import annotations

import gc
import os
import time
import traceback
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from transformers import PreTrainedModel

from saywhy import processes
from saywhy.models.tree import TokenIds
from saywhy.progress import say
from saywhy.records import SaywhyError

Computed = TypeVar("Computed")

MOST_TOKENS = {"cpu": 2048, "cuda": 16384}
"""More tokens at once are not faster: the matrix products are already at their full rate."""
LEAST_TOKENS = 64
"""A machine that cannot hold this many tokens at once cannot hold the model either."""
MEMORY_SHARE = 0.4
"""Of the free memory, what one forward pass may take."""


FIRST_PAUSE = 60.0
"""Seconds after which the first number is tried again; twice as long each time that it was too much again."""

OUT_OF_MEMORY_PHRASES = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "alloc_failed",
    "nvml_success ==",
)
"""What errors for want of memory say, on one device or another; the last is what torch's allocator says of it where it
cannot ask the driver who holds the memory: in a part of a card (MIG), or in a container."""


class NotFiniteError(SaywhyError):
    """A model's numbers are not finite; the message holds no text."""


class NotEnoughMemoryError(SaywhyError):
    """The memory does not hold what has to be computed at once, however little that is made."""


class TokenBudget:
    """The number of tokens that are computed at once.

    Where memory runs out it is halved, and some time later it is what it was: another program may have held the memory.

    Attributes:
        tokens: The number; results do not depend on it.
        longest: The longest text that is tried: more than ``tokens`` where nobody asked for a number and memory allows.
    """

    def __init__(self, model: PreTrainedModel, tokens: int | None = None) -> None:
        """Take ``tokens``, or find the number from the free memory."""
        self.longest = tokens or _tokens_that_fit(model)
        self.tokens = tokens or min(self.longest, MOST_TOKENS.get(model.device.type, MOST_TOKENS["cuda"]))
        self._first = (self.tokens, self.longest)
        self._pause, self._halved_at = FIRST_PAUSE, 0.0

    def recover(self) -> None:
        """Take the first numbers again, if they were halved and that is some time ago."""
        if (self.tokens, self.longest) != self._first and time.monotonic() - self._halved_at > self._pause:
            self.tokens, self.longest = self._first
            self._pause *= 2
            say(f"computing {self.tokens} tokens at once again")

    def run(
        self,
        sequences: Sequence[TokenIds],
        group: Callable[[Sequence[TokenIds], int], list[list[int]]],
        compute: Callable[[list[int]], None],
    ) -> None:
        """Compute all ``sequences``, as many at once as fit.

        Args:
            sequences: Token ids.
            group: Returns which sequences are computed together within a number of tokens; one at least.
            compute: Computes the sequences of these indices.

        Raises:
            SaywhyError: If one sequence alone is more than the budget.
        """
        self.recover()
        waiting = group(sequences, self.tokens)
        while waiting:
            self.check(max((len(sequences[i]) for i in waiting[0]), default=0))
            try:
                compute(waiting[0])
            except (MemoryError, RuntimeError) as error:
                self.halve(error)
                indices = [i for batch in waiting for i in batch]
                waiting = [[indices[i] for i in batch] for batch in group([sequences[i] for i in indices], self.tokens)]
            else:
                del waiting[0]

    def slices(self, count: int, tokens: int, compute: Callable[[slice], None]) -> None:
        """Compute ``count`` things that take ``tokens`` tokens each, as many at once as fit; one at least.

        Raises:
            SaywhyError: If the memory does not hold one.
        """
        self.recover()
        start = 0
        while start < count:
            at_once = max(1, self.tokens // tokens)
            try:
                compute(slice(start, min(count, start + at_once)))
            except (MemoryError, RuntimeError) as error:
                if at_once == 1 and is_out_of_memory(error):
                    raise NotEnoughMemoryError(
                        f"the memory does not hold {tokens} tokens at once: free some"
                    ) from error
                self.halve(error)
            else:
                start += at_once

    def attempt(self, compute: Callable[[], Computed]) -> Computed:
        """Return what ``compute`` returns; as often as memory runs out, it is called again with half the budget."""
        self.recover()
        while True:
            try:
                return compute()
            except (MemoryError, RuntimeError) as error:
                self.halve(error)

    def halve(self, error: BaseException) -> None:
        """Go on with half the budget after ``error``; raise it again if it was not for want of memory."""
        if not is_out_of_memory(error):
            raise error
        if self.tokens // 2 < LEAST_TOKENS:
            raise NotEnoughMemoryError(
                f"the memory does not hold {self.tokens} tokens at once: free some, or take a smaller model"
            )
        self.tokens = self.longest = self.tokens // 2
        self._halved_at = time.monotonic()
        traceback.clear_frames(error.__traceback__)  # they hold what was being computed
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        say(f"out of memory: going on with {self.tokens} tokens at once")

    def check(self, longest: int) -> None:
        """Refuse a text of ``longest`` tokens if it is more than the budget: nothing is cut."""
        if longest > max(self.tokens, self.longest):
            raise NotEnoughMemoryError(
                f"a text needs {longest} tokens at once, more than the budget of {self.tokens}: "
                "raise token_budget, or free memory"
            )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that there is no more memory, on any device."""
    message = str(error).lower()
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        phrase in message for phrase in OUT_OF_MEMORY_PHRASES
    )


def free_memory(device: torch.device) -> int:
    """Return the free bytes of ``device``, shared among the processes that are on it."""
    if device.type == "cuda":
        # What torch has taken and does not use is free to it, though not to the card.
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + unused
    return _available_memory() // processes.local_world_size()


def _available_memory() -> int:
    """Return the bytes of main memory that are free or can be freed; without psutil those that are free."""
    try:
        import psutil
    except ImportError:  # the engine needs nothing but torch and transformers
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    return int(psutil.virtual_memory().available)


def _tokens_that_fit(model: PreTrainedModel) -> int:
    """Return how many tokens a forward pass may have, by the free memory."""
    config = model.config.get_text_config()
    width = int(config.hidden_size)
    inner = int(getattr(config, "intermediate_size", None) or 4 * width)
    # What one layer holds for a token at its widest: residuals, heads and gathered keys, the gated product.
    per_token = model.dtype.itemsize * (24 * width + 6 * inner)
    return max(LEAST_TOKENS, int(MEMORY_SHARE * free_memory(model.device) / per_token))


def cache_places(model: PreTrainedModel, share: float = 0.25) -> int:
    """Return for how many tokens keys and values can be kept in ``share`` of the free memory, 16,384 at most."""
    config = model.config.get_text_config()
    heads = int(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)
    width = int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
    per_token = 2 * config.num_hidden_layers * heads * width * model.dtype.itemsize
    return max(LEAST_TOKENS, min(int(share * free_memory(model.device) / per_token), 16384))
