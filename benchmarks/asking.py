"""Explanations that are asked for, and the replies of both sides: saywhy's and transformers.generate's."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from benchmarks import plain
from benchmarks.common import Done, fastest
from benchmarks.work import Bare
from saywhy.measure.chats import explanation_chat
from saywhy.measure.edits import Item
from saywhy.measure.rooms import reply_room
from saywhy.models.local import LocalModel
from saywhy.protocol.prompts import Message
from saywhy.records import Setting, StyleName

if TYPE_CHECKING:
    from saywhy.tasks.task import Task

SETTINGS: tuple[Setting, ...] = ("one-word", "free")
COPYING: tuple[StyleName, ...] = ("redaction", "counterfactual")
SIZES = (8, 16, 32, 64)
LOOKUP = 0
"""Stands among the batch sizes for prompt lookup decoding, which takes one chat at a time."""


@dataclass(frozen=True)
class Ask:
    """One chat, and how long its reply may be. Chats of one ``kind`` (style and setting) are generated together."""

    kind: tuple[StyleName, Setting]
    text: str
    messages: list[Message]
    room: int


def asks(task: Task, items: Sequence[Item], styles: Sequence[StyleName]) -> list[Ask]:
    """Return the chats of all items, text by text."""
    return [
        Ask(
            (style, setting),
            item.example.text,
            explanation_chat(task, item, style, setting),
            reply_room(item.example.text, style, setting),
        )
        for item in items
        for style, setting in itertools.product(styles, SETTINGS)
    ]


def first_only(chats: Sequence[Ask]) -> list[Ask]:
    """Return the same chats with room for one token: what is left is the prompts' share of the time."""
    return [dataclasses.replace(ask, room=1) for ask in chats]


def ours(model: LocalModel, chats: Sequence[Ask]) -> Done:
    """Generate with saywhy, which is told what is to be copied."""
    copied = [ask.text if ask.kind[0] in COPYING else None for ask in chats]
    # Revisions that take no such hint can be measured too.
    hint: dict[str, Any] = {"copied": copied} if "copied" in inspect.signature(model.generate).parameters else {}
    replies = model.generate([ask.messages for ask in chats], [ask.room for ask in chats], **hint)
    return Done(replies, len(replies))


def transformers(bare: Bare, chats: Sequence[Ask], sizes: Sequence[int]) -> Done:
    """Generate with transformers, one kind of chat after the other; ``sizes``: the batch sizes, the fastest first."""
    ids = bare.chat.ids([bare.chat.open(ask.messages) for ask in chats])
    replies = [""] * len(chats)
    for kind in dict.fromkeys(ask.kind for ask in chats):
        # Prompt lookup is for copies: a named word has nothing to gain from it.
        size = next(tried_size for tried_size in sizes if tried_size != LOOKUP or kind[0] in COPYING)
        alike = [i for i, ask in enumerate(chats) if ask.kind == kind]
        alike.sort(key=lambda i: -len(ids[i]))
        for start in range(0, len(alike), size or 1):
            batch = alike[start : start + (size or 1)]
            new = _generate(bare, [ids[i] for i in batch], max(chats[i].room for i in batch), lookup=size == LOOKUP)
            for i, row in zip(batch, new, strict=True):
                replies[i] = _reply(bare, row[: chats[i].room])
    return Done(replies, len(replies))


@torch.inference_mode()
def _generate(bare: Bare, rows: Sequence[plain.Ids], room: int, *, lookup: bool) -> list[list[int]]:
    end = bare.chat.end_of_turn[0]
    ids, seen = plain.left_padded(rows, bare)
    more: dict[str, Any] = {"prompt_lookup_num_tokens": 10} if lookup else {}
    out = bare.model.generate(  # type: ignore[operator]
        input_ids=ids,
        attention_mask=seen,
        max_new_tokens=room,
        do_sample=False,
        eos_token_id=end,
        pad_token_id=end,
        **more,
    )
    new: list[list[int]] = out[:, ids.shape[1] :].tolist()
    return new


def _reply(bare: Bare, row: list[int]) -> str:
    end = bare.chat.end_of_turn[0]
    return bare.chat.reply(row[: row.index(end)] if end in row else row)


def fastest_sizes(bare: Bare, chats: Sequence[Ask]) -> list[int]:
    """Return the batch sizes by speed, prompt lookup among them; all generate the same chats of one kind."""
    alike = [ask for ask in chats if ask.kind == chats[0].kind][: max(SIZES)]
    sizes = [size for size in SIZES if size == SIZES[0] or size <= len(alike)]
    what = f"transformers.generate, batch size ({LOOKUP}: prompt lookup)"
    return fastest([*sizes, LOOKUP], lambda size: transformers(bare, alike, [size]), what)
