"""What a model kept beside the task: its loss on held-out instruction data, and whether its replies are still plain."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from saywhy import pocket
from saywhy.models.interface import Model, Tick
from saywhy.progress import say
from saywhy.protocol.prompts import Message
from saywhy.tasks.data import read_messages
from saywhy.tasks.task import Task, catalog, load_task
from saywhy.words import MARK, fold, occurrences

REPLAY = "replay"
"""Folder of the instruction data beside the data of the tasks; a file a split."""

MOST_WORDS = 400
"""Longer conversations are set aside: the same ones whatever the machine holds and the model reads."""

ROOM = 64
"""Tokens of a reply to a plain instruction."""

TURNS = 3
"""So many times the same words in a row are an endless repetition, if they are ``LOOP`` words in all."""

LOOP = 9

REASONS = (
    "empty",
    f"holds {MARK}",
    "label sentence",
    "one word",
    "copies the instruction",
    "repeats itself",
)
"""Every reason for which a reply is not plain."""

Share = Callable[[int, Callable[[int], Any], Callable[[list[Any]], Any]], Any]
"""Makes something of so many chunks: each is computed by its number, then they are joined in their order."""


def alone(chunks: int, compute: Callable[[int], Any], join: Callable[[list[Any]], Any]) -> Any:
    """Compute all chunks here (a ``Share``)."""
    return join([compute(number) for number in range(chunks)])


def instructions(data: str | Path | None, split: Literal["validation", "test"]) -> tuple[list[list[Message]], str]:
    """Return held-out instruction data and what it is: that of a folder, or built-in where there is none.

    Args:
        data: Folder with the data of the tasks, or of one of them (``replay`` lies in it or beside it); None: built-in.
        split: Which file.

    Raises:
        SaywhyError: If the file is there, and cannot be read.
    """
    root = Path(data).expanduser() if data else None
    for folder in (root / REPLAY, root.parent / REPLAY) if root else ():
        if (path := folder / f"{split}.jsonl").is_file():
            return read_messages(path), f"{REPLAY}/{split}.jsonl"
    if root and root.is_dir():
        say(f"no {REPLAY}/{split}.jsonl in or beside {root}: retention is measured on built-in instructions")
    pairs = pocket.instructions()
    return [[_turn("user", asked), _turn("assistant", answer)] for _, asked, answer in pairs], "built-in instructions"


def _turn(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def chat_id(chat: Sequence[Message]) -> str:
    """Return the id of an instruction row: 16 hex digits of the SHA-256 of its messages."""
    return hashlib.sha256(json.dumps(list(chat), sort_keys=True).encode()).hexdigest()[:16]


def usable(model: Model, chats: Sequence[list[Message]]) -> tuple[list[list[Message]], Counter[str]]:
    """Part the chats whose loss can be measured from the others, which are counted by reason."""
    long = [sum(len(turn["content"].split()) for turn in chat) > MOST_WORDS for chat in chats]
    objections = model.objections(chats, 0)
    reasons = [
        f"more than {MOST_WORDS} words" if too_long else objection
        for too_long, objection in zip(long, objections, strict=True)
    ]
    kept = [chat for chat, reason in zip(chats, reasons, strict=True) if reason is None]
    return kept, Counter(reason for reason in reasons if reason is not None)


def loss(model: Model, chats: Sequence[list[Message]], tick: Tick | None = None) -> list[float | None]:
    """Return the mean loss (nats a token) of the assistant's turns of each chat.

    Args:
        model: The model.
        chats: Instruction data that the model takes (``usable``).
        tick: Progress.

    Returns:
        One a chat; None where there is none (a scripted model, a chat that its tokenizer does not take apart).
    """
    return model.losses(chats, tick)


def plain(
    model: Model, chats: Sequence[list[Message]], tick: Tick | None = None, sentences: Sequence[str] = ()
) -> list[str | None]:
    """Return why the greedy reply to each short instruction is no longer plain; None if it is.

    Args:
        model: The model.
        chats: Instructions that ask for a sentence or more; the last turn is the user's.
        tick: Progress.
        sentences: Beginnings of label sentences of tasks that are not in the catalog (``The mood is good``).
    """
    replies = model.generate(chats, [ROOM] * len(chats), tick)
    known = (*label_sentences(), *map(fold, sentences))
    return [why_not_plain(chat[-1]["content"], reply, known) for chat, reply in zip(chats, replies, strict=True)]


@lru_cache(maxsize=1)
def label_sentences() -> tuple[str, ...]:
    """Return how the answers to the tasks of the catalog begin, folded."""
    return tuple(map(fold, label_beginnings(map(load_task, catalog()))))


def label_beginnings(tasks: Iterable[Task]) -> list[str]:
    """Return how the answers to ``tasks`` begin: ``The mood is good``."""
    return [f"{task.lead_in} {word}" for task in tasks for word in task.labels.values()]


def why_not_plain(instruction: str, reply: str, sentences: Sequence[str]) -> str | None:
    """Return the first of ``REASONS`` that holds for a reply; None if it is plain.

    Args:
        instruction: What was asked; it asks for a sentence or more.
        reply: What the model said.
        sentences: Beginnings of label sentences, folded.
    """
    words = [word.key for word in occurrences(reply)]
    if not any(char.isalnum() for char in reply):
        return "empty"
    if MARK.casefold() in reply.casefold():
        return f"holds {MARK}"
    told = " ".join(fold(reply).split())
    if any(re.match(rf"{re.escape(sentence)}\b", told) for sentence in sentences):
        return "label sentence"
    if len(set(words)) == 1:
        return "one word"
    if _copies([word.key for word in occurrences(instruction)], words):
        return "copies the instruction"
    return "repeats itself" if _repeats(words) else None


def _copies(asked: Sequence[str], said: Sequence[str]) -> bool:
    """Whether a reply is the instruction, with one word in six changed at most, one in any case."""
    matcher = difflib.SequenceMatcher(None, asked, said, autojunk=False)
    changed = sum(max(i2 - i1, j2 - j1) for tag, i1, i2, j1, j2 in matcher.get_opcodes() if tag != "equal")
    return changed <= max(1, len(asked) // 6)


def _repeats(said: Sequence[str]) -> bool:
    """Whether a reply ends in the same words again and again; numbers (of a list) are passed over."""
    words = [word for word in said if not word.isdigit()]
    for period in range(1, len(words) // TURNS + 1):
        pairs = zip(reversed(words), reversed(words[:-period]), strict=False)
        same = [late == early for late, early in pairs]
        same[0] = words[-1 - period].startswith(words[-1])  # the last word may be cut off
        back = same.index(False) if False in same else len(same)
        if back + period >= max(TURNS * period, LOOP):
            return True
    return False


def retain(
    model: Model,
    data: str | Path | None,
    split: Literal["validation", "test"] = "test",
    rows: int = 60,
    tick: Tick | None = None,
    *,
    sentences: Sequence[str] = (),
    size: int = 20,
    share: Share = alone,
) -> dict[str, Any]:
    """Measure what a model kept beside the task: the content of ``retention.json``.

    Args:
        model: The model.
        data: Where the data of the tasks is (``instructions``).
        split: Which instruction data.
        rows: How many of its rows, in their order; rows that cannot be used are counted beside them.
        tick: Called with the number of rows and instructions done.
        sentences: Beginnings of label sentences of tasks that are not in the catalog.
        size: Rows or instructions a chunk.
        share: Who computes the chunks.

    Returns:
        ``replay``: ``n``, ``ids``, ``losses`` (nats a token, one a row), ``set_aside`` (reason: count), ``source``;
        ``plain``: ``n``, ``asked`` (ids), ``plain``, ``reasons``.
    """
    chats, source = instructions(data, split)
    kept, aside = usable(model, chats[:rows])
    asked = pocket.instructions()
    questions = [[_turn("user", one)] for _, one, _ in asked]
    before = -(-len(kept) // size)

    def compute(number: int) -> dict[str, Any]:
        if number < before:
            return {"losses": loss(model, kept[number * size : (number + 1) * size], tick)}
        at = (number - before) * size
        return {"reasons": plain(model, questions[at : at + size], tick, sentences)}

    def join(parts: Sequence[Mapping[str, list[Any]]]) -> dict[str, Any]:
        losses = [value for part in parts for value in part.get("losses", ())]
        reasons = [value for part in parts for value in part.get("reasons", ())]
        told = {"n": len(asked), "asked": [name for name, _, _ in asked], "plain": [why is None for why in reasons]}
        return {"replay": _replay(kept, losses, aside, source), "plain": {**told, "reasons": reasons}}

    made: dict[str, Any] = share(before + -(-len(asked) // size), compute, join)
    return made


def _replay(
    kept: Sequence[list[Message]], losses: Sequence[float | None], aside: Mapping[str, int], source: str
) -> dict[str, Any]:
    told = [(chat_id(chat), value) for chat, value in zip(kept, losses, strict=True) if value is not None]
    lost = {"the model has no loss for it": len(kept) - len(told)} if len(told) < len(kept) else {}
    return {
        "n": len(told),
        "ids": [name for name, _ in told],
        "losses": [value for _, value in told],
        "set_aside": {**aside, **lost},
        "source": source,
    }
