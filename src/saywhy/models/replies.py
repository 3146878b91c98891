"""Greedy replies to chats: by the decoder over one pool of keys, or by transformers where there is no tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch

from saywhy.models.chat import Chat
from saywhy.models.decode import Decoder, Request
from saywhy.models.draft import Drafter, word_starts
from saywhy.models.memory import cache_places
from saywhy.models.protocol import Tick
from saywhy.models.tree import Ids
from saywhy.prompts import Message
from saywhy.words import MARK

if TYPE_CHECKING:
    from saywhy.models.local import LocalModel

PADDED = 16
"""Replies that transformers generates at once."""


def replies(
    model: LocalModel,
    chats: Sequence[list[Message]],
    max_new_tokens: Sequence[int],
    copied: Sequence[str | None],
    tick: Tick | None,
) -> list[str]:
    """Return the greedy reply to each chat, at most ``max_new_tokens`` tokens long."""
    rendered = [model.chat.open(messages) for messages in chats]
    prompts = model.chat.ids(rendered)
    if model.forward.way != "branches":
        return _by_transformers(model, prompts, max_new_tokens, tick)
    model.budget.check(max(map(len, prompts), default=0))
    found: list[str | None] = [None] * len(chats)
    marks = model.chat.ids([f" {MARK}", MARK])

    def keep(index: int, ids: list[int]) -> None:
        found[waiting[index]] = model.chat.reply(ids)
        if tick:
            tick(1)

    while waiting := [index for index, reply in enumerate(found) if reply is None]:
        requests = [
            Request(prompts[i], max_new_tokens[i], drafter(model.chat, rendered[i], prompts[i], copied[i], marks))
            for i in waiting
        ]
        places = cache_places(model.model)
        decoder = Decoder(model.forward, model.chat.ender[0], model.budget.tokens, places)
        try:
            decoder.decode(requests, keep)
        except (MemoryError, RuntimeError) as error:
            model.budget.halve(error)  # replies that were finished stay
    return [reply or "" for reply in found]


def drafter(chat: Chat, rendered: str, prompt: Ids, text: str | None, marks: Sequence[Ids]) -> Drafter:
    """Return what guesses a reply that copies ``text``; without one, or where the seam does not hold, circles only."""
    if text is None:
        return Drafter()
    [(ids, offsets)] = chat.ids_and_offsets([rendered + text])
    cut = len(prompt)
    if ids[:cut] != prompt:
        return Drafter()
    inner = [(a - len(rendered), b - len(rendered)) for a, b in offsets[cut:]]
    return Drafter((*ids[cut:], chat.ender[0]), word_starts(text, inner), marks)


@torch.inference_mode()
def _by_transformers(
    model: LocalModel, prompts: Sequence[Ids], max_new_tokens: Sequence[int], tick: Tick | None
) -> list[str]:
    """Generate in padded batches, long prompts first."""
    end = model.chat.ender[0]
    found = [""] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    for batch in (order[first : first + PADDED] for first in range(0, len(order), PADDED)):
        longest = max(len(prompts[i]) for i in batch)
        padded = [[end] * (longest - len(prompts[i])) + list(prompts[i]) for i in batch]
        seen = [[0] * (longest - len(prompts[i])) + [1] * len(prompts[i]) for i in batch]
        device = model.model.device
        out = cast(
            torch.Tensor,
            model.model.generate(
                input_ids=torch.tensor(padded, device=device),
                attention_mask=torch.tensor(seen, device=device),
                max_new_tokens=max(max_new_tokens[i] for i in batch),
                do_sample=False,
                eos_token_id=end,
                pad_token_id=end,
            ),
        )
        for i, row in zip(batch, out[:, longest:].tolist(), strict=True):
            # A row's own limit, not the batch's: the reply must not depend on its neighbours.
            said = row[: row.index(end)] if end in row else row
            found[i] = model.chat.reply(said[: max_new_tokens[i]])
        model.forward.tokens += out.numel()
        if tick:
            tick(len(batch))
    return found
