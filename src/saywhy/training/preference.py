"""DPO and GRPO: TRL's own trainers on the explanations of an arm, rewarded by the same effects as any objective.

Neither sees label turns or anchors. The start model, from which both may hold off (``beta``), is a second copy of its
LoRA, which TRL makes.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import datasets
from datasets import Dataset
from trl import DPOTrainer, GRPOTrainer

from saywhy.clashes import PREFERENCE_OBJECTIVES
from saywhy.measure.rooms import reply_room
from saywhy.models.chat import Chat
from saywhy.models.reading import error_line
from saywhy.protocol.prompts import Message
from saywhy.protocol.styles import read_reply
from saywhy.records import SaywhyError
from saywhy.training.arguments import dpo_arguments, grpo_arguments
from saywhy.training.encoding import Recipe
from saywhy.training.trainer import ReadableSaves


def preference_trainer(
    model: Any, chat: Chat, rows: Sequence[Mapping[str, Any]], recipe: Recipe, work: Path, longest: int
) -> DPOTrainer | GRPOTrainer:
    """Return TRL's trainer of the objective of ``recipe``.

    Args:
        model: A LoRA on its base, which goes on.
        chat: Its chats.
        rows: Explanations with their candidates; for ``dpo`` also what is rejected, for ``grpo`` the label words.
        recipe: How.
        work: Where checkpoints go.
        longest: Most tokens of a chat.

    Raises:
        SaywhyError: If a row is longer: nothing is truncated silently.
    """
    styles = len({row["style"] for row in rows})
    tokens = [_tokens(chat, row, longest) for row in rows]
    tokenizer = _fixed_tokenizer(chat, rows[0]["prompt"], recipe.objective)
    with _no_bars(), readable_refusals(recipe):
        if recipe.objective == "dpo":
            pairs = [
                {"prompt": row["prompt"], "chosen": row["completion"], "rejected": row["rejected"]} for row in rows
            ]
            return _PairTrainer(
                model=model,
                args=dpo_arguments(recipe, work, len(rows), styles),
                train_dataset=Dataset.from_list(pairs),
                processing_class=tokenizer,
            )
        room = max(reply_room(row["text"], row["style"], row["setting"]) for row in rows)
        columns = ("prompt", "style", "setting", "text", "candidates", "label_words")
        return _ReplyTrainer(
            model=model,
            reward_funcs=effect_rewards,
            args=grpo_arguments(recipe, work, len(rows), styles, min(room, longest - max(tokens))),
            train_dataset=Dataset.from_list([{key: row[key] for key in columns} for row in rows]),
            processing_class=tokenizer,
        )


def effect_rewards(completions: Sequence[Sequence[Mapping[str, str]]], **columns: Sequence[Any]) -> list[float | None]:
    """Return the reward of each sampled reply, as TRL asks for it.

    Args:
        completions: The replies, each a turn of a chat.
        columns: What the data set has beside them, one each a reply.
    """
    keys = ("style", "setting", "text", "candidates", "label_words")
    rows = [dict(zip(keys, values, strict=True)) for values in zip(*(columns[key] for key in keys), strict=True)]
    return [reply_reward(row, turn[0]["content"]) for row, turn in zip(rows, completions, strict=True)]


def reply_reward(row: Mapping[str, Any], reply: str) -> float:
    """Return the effect (nats) of the explanation that a reply is, by the text's table.

    A reply that is invalid, or an edit that the table does not have, fails: minus the largest effect, of either sign,
    so that no failure is worth more than any explanation.
    """
    table = row["candidates"]
    effects: dict[tuple[tuple[str, ...], tuple[str, ...]], float] = {
        ((word,), (new,) if new else ()): effect
        for word, new, effect in zip(table["words"], table["inserted"], table["effects"], strict=True)
    }
    explanation = read_reply(row["style"], row["setting"], row["text"], reply, row["label_words"])
    failure = -max(map(abs, effects.values()))
    return effects.get((explanation.words, explanation.inserted), failure)


def _tokens(chat: Chat, row: Mapping[str, Any], longest: int) -> int:
    """Return the tokens of a row's prompt, if its replies are not too long."""
    turns = [
        chat.turn([*row["prompt"], *row[reply]], f"row {row['id']}")
        for reply in ("completion", "rejected")
        if reply in row
    ]
    if (tokens := max(len(turn.ids) for turn in turns)) > longest:
        raise SaywhyError(f"training row {row['id']}: {tokens} tokens, the model takes {longest}")
    return turns[0].start


def _fixed_tokenizer(chat: Chat, prompt: Sequence[Message], objective: str) -> Any:
    """Return a tokenizer by which TRL renders chats as everything else does.

    Raises:
        SaywhyError: If it would render them otherwise: what opens with a thought is trained with one by TRL.
    """
    tokenizer = copy.copy(chat.tokenizer)
    tokenizer.chat_template = chat.template
    rendered = tokenizer.apply_chat_template(list(prompt), tokenize=False, add_generation_prompt=True)
    if rendered != chat.open(prompt):
        raise SaywhyError(
            f"objective={objective}: TRL would open turns with a thought: take another objective or model"
        )
    return tokenizer


@contextmanager
def readable_refusals(recipe: Recipe) -> Iterator[None]:
    """Say in one line what TRL refuses only as it trains by an objective of its own, such as an unknown loss."""
    try:
        yield
    except (ValueError, NotImplementedError, ImportError) as error:
        if recipe.objective not in PREFERENCE_OBJECTIVES:
            raise
        raise SaywhyError(
            f"objective={recipe.objective}: TRL does not train with trainer={dict(recipe.trainer)}: {error_line(error)}"
        ) from error


@contextmanager
def _no_bars() -> Iterator[None]:
    """Keep datasets from showing bars of its own."""
    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


class _PairTrainer(ReadableSaves, DPOTrainer):
    pass


class _ReplyTrainer(ReadableSaves, GRPOTrainer):
    pass
