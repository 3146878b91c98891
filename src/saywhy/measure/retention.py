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
from saywhy.folders.chunks import chunks_of
from saywhy.models.interface import Model, Tick
from saywhy.paths import user_path
from saywhy.progress import say
from saywhy.protocol.prompts import Message, answer_parts
from saywhy.tasks.data import read_messages
from saywhy.tasks.task import Task, catalog, load_task
from saywhy.words import REDACTED_MARK, fold, occurrences

REPLAY_FOLDER = "replay"
"""Folder of the instruction data beside the data of the tasks; a file a split."""

MOST_CONVERSATION_WORDS = 400
"""Conversations of more words are set aside, whatever the memory of the machine and the context of the model."""

REPLY_ROOM = 64
"""The most tokens of a reply to an instruction."""

LOOP_REPETITIONS = 3
"""The same words so many times at a reply's end are an endless repetition, if they are ``LOOP_WORDS`` words or more."""

LOOP_WORDS = 9
"""The least number of words of an endless repetition."""

UNPLAIN_REASONS = (
    "empty",
    f"holds {REDACTED_MARK}",
    "label sentence",
    "one word",
    "copies the instruction",
    "repeats itself",
)
"""Every reason for which a reply is not plain."""

ChunkShare = Callable[[Sequence[Any], int, Callable[[Sequence[Any]], Any], Callable[[list[Any]], Any]], Any]
"""Computes over items in chunks of a size, and joins the results of the chunks in their order."""


def compute_here(
    items: Sequence[Any], size: int, compute: Callable[[Sequence[Any]], Any], join: Callable[[list[Any]], Any]
) -> Any:
    """Compute all chunks in this process (a ``ChunkShare``)."""
    return join(list(map(compute, chunks_of(items, size))))


def held_out_instructions(
    data: str | Path | None, split: Literal["validation", "test"]
) -> tuple[list[list[Message]], str]:
    """Return held-out instruction data and the name of its source: a folder, or built-in where there is none.

    Args:
        data: Folder with the data of the tasks, or of one of them (``replay`` lies in it or beside it); None: built-in.
        split: Which file.

    Raises:
        SaywhyError: If the file is there, and cannot be read.
    """
    root = user_path(data) if data else None
    for folder in (root / REPLAY_FOLDER, root.parent / REPLAY_FOLDER) if root else ():
        if (path := folder / f"{split}.jsonl").is_file():
            return read_messages(path), f"{REPLAY_FOLDER}/{split}.jsonl"
    if root and root.is_dir():
        say(f"no {REPLAY_FOLDER}/{split}.jsonl in or beside {root}: retention is measured on built-in instructions")
    chats = [
        [_chat_turn("user", question), _chat_turn("assistant", answer)] for _, question, answer in pocket.instructions()
    ]
    return chats, "built-in instructions"


def _chat_turn(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def chat_id(chat: Sequence[Message]) -> str:
    """Return the id of an instruction row: 16 hex digits of the SHA-256 of its messages."""
    return hashlib.sha256(json.dumps(list(chat), sort_keys=True).encode()).hexdigest()[:16]


def usable_chats(model: Model, chats: Sequence[list[Message]]) -> tuple[list[list[Message]], Counter[str]]:
    """Part the chats whose loss can be measured from the others, which are counted by reason."""
    long = [sum(len(turn["content"].split()) for turn in chat) > MOST_CONVERSATION_WORDS for chat in chats]
    objections = model.objections(chats, 0)
    reasons = [
        f"more than {MOST_CONVERSATION_WORDS} words" if too_long else objection
        for too_long, objection in zip(long, objections, strict=True)
    ]
    kept = [chat for chat, reason in zip(chats, reasons, strict=True) if reason is None]
    return kept, Counter(reason for reason in reasons if reason is not None)


def chat_losses(model: Model, chats: Sequence[list[Message]], tick: Tick | None = None) -> list[float | None]:
    """Return the mean loss (nats a token) of the assistant's turns of each chat.

    Args:
        model: The model.
        chats: Instruction data that the model takes (``usable_chats``).
        tick: Progress.

    Returns:
        One a chat; None where there is none (a scripted model, a chat that cannot be put into ids).
    """
    return model.losses(chats, tick)


def unplain_replies(
    model: Model, chats: Sequence[list[Message]], tick: Tick | None = None, sentences: Sequence[str] = ()
) -> list[str | None]:
    """Return why the greedy reply to each short instruction is no longer plain; None if it is.

    Args:
        model: The model.
        chats: Instructions that ask for a sentence or more; the last turn is the user's.
        tick: Progress.
        sentences: Beginnings of label sentences of tasks that are not in the catalog (``The mood is good``).
    """
    replies = model.generate(chats, [REPLY_ROOM] * len(chats), tick)
    beginnings = (*label_sentences(), *map(fold, sentences))
    return [why_not_plain(chat[-1]["content"], reply, beginnings) for chat, reply in zip(chats, replies, strict=True)]


@lru_cache(maxsize=1)
def label_sentences() -> tuple[str, ...]:
    """Return how the answers to the tasks of the catalog begin, folded."""
    return tuple(map(fold, label_beginnings(map(load_task, catalog()))))


def label_beginnings(tasks: Iterable[Task]) -> list[str]:
    """Return how the answers to ``tasks`` begin, whatever question of theirs was practised: ``The mood is good``."""
    return [
        f"{lead_in} {word}".strip()
        for task in tasks
        for lead_in in (answer_parts(task)[0], *(paraphrase.lead_in for paraphrase in task.paraphrases))
        for word in task.labels.values()
        if lead_in
    ]


def why_not_plain(instruction: str, reply: str, sentences: Sequence[str]) -> str | None:
    """Return the first of ``UNPLAIN_REASONS`` that holds for a reply; None if it is plain.

    Args:
        instruction: The instruction; it asks for a sentence or more.
        reply: The model's reply.
        sentences: Beginnings of label sentences, folded.
    """
    words = [word.key for word in occurrences(reply)]
    if not any(char.isalnum() for char in reply):
        return "empty"
    if REDACTED_MARK.casefold() in reply.casefold():
        return f"holds {REDACTED_MARK}"
    folded = " ".join(fold(reply).split())
    if any(re.match(rf"{re.escape(sentence)}\b", folded) for sentence in sentences):
        return "label sentence"
    if len(set(words)) == 1:
        return "one word"
    if _copies_instruction([word.key for word in occurrences(instruction)], words):
        return "copies the instruction"
    return "repeats itself" if _repeats_itself(words) else None


def _copies_instruction(instruction: Sequence[str], reply: Sequence[str]) -> bool:
    """Whether a reply is the instruction, with one word in six changed at most, one in any case."""
    matcher = difflib.SequenceMatcher(None, instruction, reply, autojunk=False)
    changed = sum(max(i2 - i1, j2 - j1) for tag, i1, i2, j1, j2 in matcher.get_opcodes() if tag != "equal")
    return changed <= max(1, len(instruction) // 6)


def _repeats_itself(reply: Sequence[str]) -> bool:
    """Whether a reply ends in the same words again and again; numbers (of a list) are passed over."""
    words = [word for word in reply if not word.isdigit()]
    for period in range(1, len(words) // LOOP_REPETITIONS + 1):
        pairs = zip(reversed(words), reversed(words[:-period]), strict=False)
        same = [late == early for late, early in pairs]
        same[0] = words[-1 - period].startswith(words[-1])  # the last word may be cut off
        back = same.index(False) if False in same else len(same)
        if back + period >= max(LOOP_REPETITIONS * period, LOOP_WORDS):
            return True
    return False


def measure_retention(
    model: Callable[[], Model],
    data: str | Path | None,
    split: Literal["validation", "test"] = "test",
    rows: int = 60,
    tick: Tick | None = None,
    *,
    sentences: Sequence[str] = (),
    size: int = 20,
    share: ChunkShare = compute_here,
) -> dict[str, Any]:
    """Measure what a model kept beside the task: the content of ``retention.json``.

    Args:
        model: Loads the model; called where something is computed, and nowhere else.
        data: Where the data of the tasks is (``held_out_instructions``).
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
    chats, source = held_out_instructions(data, split)
    plain_instructions = pocket.instructions()
    questions = [[_chat_turn("user", question)] for _, question, _ in plain_instructions]
    parts = [("losses", part) for part in chunks_of(chats[:rows], size)]
    parts += [("reasons", part) for part in chunks_of(questions, size)]

    def compute(part: Sequence[tuple[str, Sequence[list[Message]]]]) -> dict[str, Any]:
        [(name, part_chats)] = part
        if name == "reasons":
            return {name: unplain_replies(model(), part_chats, tick, sentences)}
        usable_rows, set_aside = usable_chats(model(), part_chats)
        return {
            name: chat_losses(model(), usable_rows, tick),
            "ids": list(map(chat_id, usable_rows)),
            "set_aside": set_aside,
        }

    def join(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        plain_counts = _plain_counts([name for name, _, _ in plain_instructions], parts)
        return {"replay": _replay_losses([part for part in parts if "losses" in part], source), "plain": plain_counts}

    retention: dict[str, Any] = share(parts, 1, compute, join)
    return retention


def _plain_counts(names: Sequence[str], parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the part ``plain`` of ``retention.json`` from the reasons of chunks."""
    reasons: list[str | None] = [value for part in parts for value in part.get("reasons", ())]
    return {"n": len(names), "asked": names, "plain": [reason is None for reason in reasons], "reasons": reasons}


def _replay_losses(parts: Sequence[Mapping[str, Any]], source: str) -> dict[str, Any]:
    """Return the part ``replay`` of ``retention.json`` from the losses, ids and rows set aside of chunks."""
    rows = [pair for part in parts for pair in zip(part["ids"], part["losses"], strict=True)]
    measured = [(name, value) for name, value in rows if value is not None]
    set_aside: Counter[str] = sum((Counter(part["set_aside"]) for part in parts), Counter())
    without_loss = len(rows) - len(measured)
    no_loss = {"the model has no loss for it": without_loss} if without_loss else {}
    return {
        "n": len(measured),
        "ids": [name for name, _ in measured],
        "losses": [value for _, value in measured],
        "set_aside": {**set_aside, **no_loss},
        "source": source,
    }
