"""What is supervised: training rows to ids, the first supervised token, and the weight of each."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from saywhy.clashes import PREFERENCE_OBJECTIVES
from saywhy.measure.choices import word_choice, word_edits
from saywhy.models.chat import Chat
from saywhy.models.interface import Copy
from saywhy.models.sequences import edited_copies, option_sequences
from saywhy.progress import say
from saywhy.records import ReplyPlan, SaywhyError, StyleName
from saywhy.words import candidates

if TYPE_CHECKING:
    from saywhy.config import Config


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """How an arm is trained; the names are those of TRL and PEFT where they have one.

    Attributes:
        learning_rate: Peak learning rate.
        num_train_epochs: Passes over the rows.
        per_device_train_batch_size: Texts a step, whatever the number of processes; the rows of a text stay together.
        lora_r: LoRA rank; 0 trains all weights.
        decision_weight: How much more a token counts in which the word is decided on than a copied one.
        label_weight: How much the label turn counts, against 1 for an explanation.
        objective: What a step minimises (``training.objectives``).
        tau: Temperature (nats) of the objective ``table``; the least gain (nats) that ``reward`` divides by.
        beta: Cost (nats) of parting from the start model; None: nothing, in ``dpo`` and ``grpo`` TRL's default.
        word_share: How much an explanation that is written out counts beside an objective over all of them.
        plan: How replies that edit are practised: what is trained in one is asked in the same.
        packing: "tree" computes the rows of a text as one tree, "none" each row by itself.
        autocast: Products in bfloat16 where the machine has units for it.
        quantize: How base weights are quantised; None: they are not.
        seed: Of the row order and the LoRA initialisation.
        trainer: What else TRL's configuration is told.
    """

    learning_rate: float = 1e-3
    num_train_epochs: int = 2
    per_device_train_batch_size: int = 4
    lora_r: int = 16
    decision_weight: float = 10.0
    label_weight: float = 1.0
    objective: str = "word"
    tau: float = 0.3
    beta: float | None = None
    word_share: float = 0.3
    plan: ReplyPlan = "direct"
    packing: str = "tree"
    autocast: bool = False
    quantize: str | None = None
    seed: int = 0
    trainer: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def recipe_of(config: Config, seed: int, *, adapting: bool, autocast: bool) -> Recipe:
    """Return the recipe of an arm from its settings.

    Args:
        config: The settings.
        seed: Of the row order and the LoRA initialisation.
        adapting: Whether it is that of ``adapted``, which learns labels and formats.
        autocast: What ``practice_precision`` comes to here.
    """
    return Recipe(
        learning_rate=config.adapt_learning_rate if adapting else config.learning_rate,
        num_train_epochs=config.adapt_num_train_epochs if adapting else config.num_train_epochs,
        per_device_train_batch_size=config.per_device_train_batch_size,
        lora_r=config.lora_r,
        decision_weight=config.decision_weight,
        label_weight=1.0 if adapting else config.label_weight or 1.0,
        objective="word" if adapting else config.objective,
        tau=config.tau,
        beta=None if adapting else config.beta,
        word_share=config.word_share,
        plan=config.plan,
        packing=config.packing,
        autocast=autocast,
        quantize=config.quantize,
        seed=seed,
        # With TRL's own objectives it is told to their trainers, which adapted has not.
        trainer={} if adapting and config.objective in PREFERENCE_OBJECTIVES else config.trainer,
    )


Encoded = list[dict[str, Any]]
"""The rows of one text as ids: written out (``encode``), or of all that could stand there (``encode_candidates``)."""


def encode(chat: Chat, row: Mapping[str, Any], recipe: Recipe) -> dict[str, Any]:
    """Turn a prompt/completion row into ids, the start of what is supervised, and its weights.

    The weights sum to one, in the label turn to ``recipe.label_weight``, times the row's ``share`` if it has one.

    Raises:
        SaywhyError: If the prompt's ids are no prefix of the whole, or if nothing would be supervised.
    """
    completion = row["completion"][0]["content"]
    turn = chat.turn([*row["prompt"], *row["completion"]], f"row {row.get('id')}")
    spans = row.get("decision") or [[0, len(completion)]]
    heavy, light = recipe.decision_weight, row.get("copied", 1.0)
    weights = [heavy if any(a < stop and start < b for a, b in spans) else light for start, stop in turn.spans]
    scale = (recipe.label_weight if row.get("style") == "label" else 1.0) * row.get("share", 1.0) / sum(weights)
    if "candidates" in row:
        scale *= recipe.word_share
    return {
        "ids": list(turn.ids),
        "start": turn.start,
        "weights": [weight * scale for weight in weights],
    }


FORMS: Mapping[StyleName, str] = {"attribution": "name", "redaction": "edit", "counterfactual": "replacement"}
"""What the candidates of a style are, where a reply does not name its word first."""


def encode_candidates(chat: Chat, row: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the candidates of an explanation's row into ids: what they share, and where and how each leaves it.

    They are the explanations that the constrained readout compares (``measure.readouts``), token by token.

    Returns:
        ``form``: ``name``, a word, or ``edit``, of which ``replacement`` is one; ``trunk``, the chat and, where edits
        are compared, the text behind it; and one a candidate: ``forks``, where it leaves the trunk, ``tails``, its
        tokens from there, ``places``, which word it is at, and ``effects``; ``reference``, where the row has it, the
        start model's log-probability of each.
    """
    prompt, (words, inserted, effects) = (
        row["prompt"],
        (row["candidates"][key] for key in ("words", "inserted", "effects")),
    )
    form = "name" if row["named_first"] else FORMS[row["style"]]
    if form == "name":
        cores = {word.key: word.core for word in candidates(row["text"])}
        choice = word_choice(prompt, [cores[key] for key in words], goes_on=row["named_first"])
        options = option_sequences(chat, choice)
        trunk = options[0].ids[: options[0].start]
        ways = [(start, ids[start:]) for ids, start in options]
    else:
        edits = word_edits(row["text"], list(zip(words, inserted, strict=True)))
        trunk, copies = edited_copies(chat, Copy(prompt, row["text"], edits))
        ways = [(fork, tail if form == "replacement" else tail[:1]) for fork, tail in copies]
    places = {word: place for place, word in enumerate(dict.fromkeys(words))}
    return {
        "form": form,
        "trunk": list(trunk[: max(fork for fork, _ in ways) + 1]),
        "forks": [fork for fork, _ in ways],
        "tails": [list(tail) for _, tail in ways],
        "places": [places[word] for word in words],
        "effects": list(effects),
        "reference": row["candidates"].get("reference"),
    }


def samples(chat: Chat, rows: Sequence[Mapping[str, Any]], recipe: Recipe, longest: int) -> list[Encoded]:
    """Return the encoded rows, those of one text together; instruction rows that do not fit are left out, and counted.

    Raises:
        SaywhyError: If a row is longer than the model's context: nothing is truncated silently.
    """
    by_text: dict[str, Encoded] = {}
    left_out: Counter[str] = Counter()
    for row in rows:
        if row.get("style") == "replay" and (reason := _why_left_out(chat, row, recipe, longest)):
            left_out[reason] += 1
            continue
        encoded = encode(chat, row, recipe)
        if len(encoded["ids"]) > longest:
            raise SaywhyError(f"training row {row['id']}: {len(encoded['ids'])} tokens, the model takes {longest}")
        of_text = by_text.setdefault(str(row["id"]), [])
        if any(encoded["weights"]):
            of_text.append(encoded)
        if "candidates" in row:
            of_text.append(encode_candidates(chat, row))
    for reason, count in left_out.items():
        say(f"{count} instruction rows are left out: {reason}")
    return list(by_text.values())


def _why_left_out(chat: Chat, row: Mapping[str, Any], recipe: Recipe, longest: int) -> str | None:
    """Return why a row of instruction data, which is other people's, is not practised; None if it is."""
    if refusal := chat.refusal([*row["prompt"], *row["completion"]]):
        return refusal
    try:
        tokens = len(encode(chat, row, recipe)["ids"])
    except SaywhyError:
        return "cannot be put to the model"
    return "longer than the model's context" if tokens > longest else None


def say_smaller_share(setting: str, share: float, added: int, texts: int, what: str) -> None:
    """Say if what is added to the texts of an arm is a smaller share than was asked for, as there is no more of it."""
    if share and (reached := added / (texts + added)) < share and added < round(texts * share / (1 - share)):
        say(f"{setting}={share:g}: there are {added} {what} beside {texts} texts, a share of {reached:.3f}")


def mix(
    rows: Sequence[dict[str, Any]], replay: Sequence[list[dict[str, str]]], share: float, seed: int
) -> list[dict[str, Any]]:
    """Add instruction data so that it makes ``share`` of the samples (texts and instructions)."""
    texts = len({row["id"] for row in rows})
    wanted = round(texts * share / (1 - share)) if replay else 0
    drawn = random.Random(seed).sample(list(replay), min(wanted, len(replay)))
    if replay:
        say_smaller_share("replay_share", share, len(drawn), texts, "conversations")
    return [
        *rows,
        *(
            {
                "id": f"replay-{i}",
                "style": "replay",
                "setting": None,
                "prompt": chat[:-1],
                "completion": chat[-1:],
                "decision": None,
            }
            for i, chat in enumerate(drawn)
        ),
    ]
