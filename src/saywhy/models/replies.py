"""Replies to chats, greedy or sampled: by the decoder over one pool of keys, or by transformers without a tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from transformers import LogitsProcessorList

from saywhy.models.chat import Chat
from saywhy.models.decode import Decoder, DecodeRequest
from saywhy.models.draft import Drafter, word_starts
from saywhy.models.interface import Reply, Sampling, Tick
from saywhy.models.memory import cache_places
from saywhy.models.sampling import SampledRows, TokenSampler, token_samplers
from saywhy.models.tree import TokenIds
from saywhy.protocol.prompts import Message
from saywhy.words import REDACTED_MARK

if TYPE_CHECKING:
    from saywhy.models.local import LocalModel

PADDED_BATCH = 16
"""Replies that transformers generates at once."""


def written_replies(
    model: LocalModel,
    chats: Sequence[list[Message]],
    max_new_tokens: Sequence[int],
    copied: Sequence[str | None],
    tick: Tick | None,
    sampling: Sampling | None = None,
) -> list[Reply]:
    """Return the reply to each chat, at most ``max_new_tokens`` tokens long, and no longer than the context."""
    rendered = [model.chat.open(messages) for messages in chats]
    prompts = model.chat.ids(rendered)
    longest = max(map(len, prompts), default=0)
    model.check(longest + 1)
    model.budget.check(longest)
    rooms = [min(limit, model.context - len(ids)) for limit, ids in zip(max_new_tokens, prompts, strict=True)]
    if model.forward.way != "branches":
        return _by_transformers(model, prompts, rooms, tick, sampling)
    finished: list[Reply | None] = [None] * len(chats)
    marks = model.chat.ids([f" {REDACTED_MARK}", REDACTED_MARK])
    places = cache_places(model.model)

    def keep(index: int, ids: list[int], cut: bool) -> None:
        finished[waiting[index]] = Reply(model.chat.reply(ids), cut)
        if tick:
            tick(1)

    while waiting := [index for index, reply in enumerate(finished) if reply is None]:
        samplers = token_samplers(sampling, len(chats))
        requests = [
            DecodeRequest(prompts[i], rooms[i], sampler=samplers[i])
            if sampling
            else DecodeRequest(
                prompts[i], rooms[i], copy_drafter(model.chat, rendered[i], prompts[i], copied[i], marks)
            )
            for i in waiting
        ]
        decoder = Decoder(model.forward, model.chat.end_of_turn[0], model.budget.tokens, places)
        try:
            decoder.decode(requests, keep)
        except (MemoryError, RuntimeError) as error:
            model.budget.halve(error)  # replies that were finished stay
            places //= 2
    return [reply for reply in finished if reply is not None]


def copy_drafter(chat: Chat, rendered: str, prompt: TokenIds, text: str | None, marks: Sequence[TokenIds]) -> Drafter:
    """Return a drafter of a reply that copies ``text``; of loops only if that is None or tokens merge at the seam."""
    if text is None:
        return Drafter()
    [(ids, offsets)] = chat.ids_and_offsets([rendered + chat.lead + text])
    cut, begun = len(prompt), len(rendered) + len(chat.lead)
    if ids[:cut] != prompt:
        return Drafter()
    inner = [(max(0, a - begun), max(0, b - begun)) for a, b in offsets[cut:]]
    return Drafter((*ids[cut:], chat.end_of_turn[0]), word_starts(text, inner), marks)


def _by_transformers(
    model: LocalModel,
    prompts: Sequence[TokenIds],
    rooms: Sequence[int],
    tick: Tick | None,
    sampling: Sampling | None,
) -> list[Reply]:
    """Generate in padded batches, long prompts first."""
    finished = [Reply("")] * len(prompts)
    waiting = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    while waiting:
        batch = waiting[: _batch_size(model, [(len(prompts[i]), rooms[i]) for i in waiting[:PADDED_BATCH]])]
        try:
            samplers = token_samplers(sampling, len(prompts))  # anew: what ran out of memory has drawn
            generated = _generate_batch(
                model, [prompts[i] for i in batch], [rooms[i] for i in batch], [samplers[i] for i in batch]
            )
        except (MemoryError, RuntimeError) as error:
            model.budget.halve(error)
            continue
        for i, reply in zip(batch, generated, strict=True):
            finished[i] = reply
        del waiting[: len(batch)]
        if tick:
            tick(len(batch))
    return finished


def _batch_size(model: LocalModel, sizes: Sequence[tuple[int, int]]) -> int:
    """Return how many of the first chats, each of (prompt, room) tokens, are one batch; the longest prompt is first."""
    longest, count = sizes[0][0], 1
    while count < len(sizes):
        # All rows of a batch go on until the last one ends, so none may be led beyond the context.
        if longest + max(room for _, room in sizes[: count + 1]) > model.context:
            break
        if longest * (count + 1) > model.budget.tokens:
            break
        count += 1
    return count


@torch.inference_mode()
def _generate_batch(
    model: LocalModel,
    prompts: Sequence[TokenIds],
    rooms: Sequence[int],
    samplers: Sequence[TokenSampler | None],
) -> list[Reply]:
    """Generate one padded batch."""
    end, longest, device = model.chat.end_of_turn[0], max(map(len, prompts)), model.model.device
    padded = [[end] * (longest - len(ids)) + list(ids) for ids in prompts]
    drawing = [sampler for sampler in samplers if sampler]
    seen = [[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts]
    with model.forward.shortened():
        generated = model.model.generate(
            input_ids=torch.tensor(padded, device=device),
            attention_mask=torch.tensor(seen, device=device),
            max_new_tokens=max(rooms),
            do_sample=False,  # the noise of a sampled reply makes its draw the likeliest
            logits_processor=LogitsProcessorList([SampledRows(drawing)] if drawing else []),
            eos_token_id=end,
            pad_token_id=end,
        )
    out = cast(torch.Tensor, generated)
    model.forward.tokens += out.numel()
    replies = []
    for room, row in zip(rooms, out[:, longest:].tolist(), strict=True):
        # A row's own limit, not the batch's: the reply must not depend on its neighbours.
        tokens = row[:room]
        is_whole = end in tokens
        replies.append(Reply(model.chat.reply(tokens[: tokens.index(end)] if is_whole else tokens), not is_whole))
    return replies
