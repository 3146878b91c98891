"""How an explanation is got out of a model: generated text, guided to be valid, or the likeliest of all valid ones.

Constrained readouts are skill without format (docs/definitions.md, *Readouts*).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from saywhy.measure.chats import conversation, explanation_chat
from saywhy.measure.choices import likeliest_insertions, likeliest_word, word_choice
from saywhy.measure.edits import Item, one_word_swaps
from saywhy.measure.likelihoods import (
    EditScores,
    edit_scores,
    explanation_scores,
    minus_placebo,
    word_log_probabilities,
)
from saywhy.measure.rooms import copies_text, reply_room
from saywhy.models.backends import HasAnswers, require
from saywhy.models.interface import Choice, Guide, Model, Question, Reply
from saywhy.protocol import prompts
from saywhy.protocol import styles as readers
from saywhy.protocol.prompts import Message
from saywhy.protocol.sentences import read_sentences
from saywhy.protocol.templates import reply_templates
from saywhy.records import Explanation, Readout, Setting, StyleName
from saywhy.tasks.lexicon import Pinned
from saywhy.words import candidates, take_out

if TYPE_CHECKING:
    from saywhy.tasks.task import Task

_QUESTION_OF_READOUT: Mapping[Readout, Question] = {
    "generated": "generate",
    "guided": "guide",
    "constrained": "weigh",
    "placebo": "weigh",
}


def refuse_readouts(model: HasAnswers, readouts: Sequence[Readout]) -> None:
    """Refuse readouts of a model, opened or not, that cannot be asked for them.

    Raises:
        SaywhyError: With the first that cannot be had.
    """
    for readout in readouts:
        require(model, _QUESTION_OF_READOUT[readout], f"the {readout} readout", "leave it out: readouts=generated")


def generated(
    model: Model,
    task: Task,
    items: Sequence[Item],
    asks: Sequence[tuple[StyleName, Setting]],
) -> list[list[tuple[str, Explanation]]]:
    """Return each greedy reply and its reading, for each of ``asks`` of each item.

    All are asked for at once: the requests of an item share the chat in which it was answered.
    """
    requests = [(item, style, setting) for item in items for style, setting in asks]
    replies = model.generate(
        [explanation_chat(task, item, style, setting) for item, style, setting in requests],
        [reply_room(item.example.text, style, setting, task.plan) for item, style, setting in requests],
        copied=[item.example.text if copies_text(style) else None for item, style, _ in requests],
    )
    readings = iter(
        (reply, _reading(task, item.example.text, style, setting, reply))
        for (item, style, setting), reply in zip(requests, replies, strict=True)
    )
    return [[next(readings) for _ in asks] for _ in items]


def _reading(task: Task, text: str, style: StyleName, setting: Setting, reply: Reply) -> Explanation:
    """Return what a generated reply is read as."""
    if setting == "sentences":
        return read_sentences(style, text, reply, prompts.uncounted_words(task), cut=reply.cut)
    return readers.read_reply(style, setting, text, reply, tuple(task.labels.values()), task.plan, cut=reply.cut)


def guided(
    model: Model,
    task: Task,
    items: Sequence[Item],
    replies: Sequence[Mapping[StyleName, tuple[str, Explanation]]],
) -> list[dict[StyleName, tuple[str, Explanation]]]:
    """Return each greedy one-word reply among the valid ones, and its reading.

    A generated reply that is valid is that reply. In place of another one, and only there, the model decodes once more,
    within the templates of its style. Where a text has no valid reply the generated one stays.

    Args:
        model: Who explains.
        task: The task.
        items: Texts and predictions.
        replies: What ``generated`` gave for each, in the one-word setting, by style.

    Raises:
        SaywhyError: If the model does not answer ``guide``.
    """
    refuse_readouts(model, ("guided",))
    invalid = [
        (i, style)
        for i, by_style in enumerate(replies)
        for style, (_, explanation) in by_style.items()
        if not explanation.valid
    ]
    guides = [_guide(task, items[i], style) for i, style in invalid]
    results = [dict(by_style) for by_style in replies]
    for (i, style), guide, reply in zip(invalid, guides, model.guide(guides), strict=True):
        if guide.templates:
            text = items[i].example.text
            results[i][style] = reply, _read(task, text, style, reply)
    return results


def guided_alone(
    model: Model, task: Task, items: Sequence[Item], styles: Sequence[Sequence[StyleName]]
) -> list[dict[StyleName, tuple[str, Explanation]]]:
    """Return the greedy one-word replies among the valid ones, and their readings, in the styles asked of each item.

    ``guided`` without the generated replies, which costs one pass over the copies in their place. A reply that is
    valid in another form than the templates' (in quotes, say) is given in theirs.
    """
    asked = [(item, style) for item, of_item in zip(items, styles, strict=True) for style in of_item]
    replies = iter(model.guide([_guide(task, item, style) for item, style in asked]))
    return [
        {style: (reply := next(replies), _read(task, item.example.text, style, reply)) for style in of_item}
        for item, of_item in zip(items, styles, strict=True)
    ]


def _guide(task: Task, item: Item, style: StyleName) -> Guide:
    """Return what a reply about ``item`` may be."""
    text = item.example.text

    def is_allowed(reply: str) -> bool:
        return _read(task, text, style, reply).valid

    templates = reply_templates(style, text, tuple(task.labels.values()), task.plan)
    return Guide(explanation_chat(task, item, style, "one-word"), tuple(templates), is_allowed)


def _read(task: Task, text: str, style: StyleName, reply: str) -> Explanation:
    return readers.read_reply(style, "one-word", text, reply, tuple(task.labels.values()), task.plan)


class Likeliest(NamedTuple):
    """The likeliest one-word explanation of a text in a style.

    Attributes:
        explanation: The explanation.
        log_probabilities: Log-probability (nats) of each word that it could be about, also where placebos are
            subtracted: of the scores as they are.
    """

    explanation: Explanation
    log_probabilities: Mapping[str, float]


def constrained(
    model: Model,
    task: Task,
    items: Sequence[Item],
    styles: Sequence[StyleName],
    pinned: Pinned,
    wanted: Sequence[Readout] = ("constrained",),
    wordings: Mapping[StyleName, str] | None = None,
) -> dict[Readout, list[dict[StyleName, Likeliest]]]:
    """Return the model's likeliest one-word explanation of each item, in each style, by readout.

    Args:
        model: Who explains.
        task: The task.
        items: Texts and predictions.
        styles: The styles.
        pinned: The words that a counterfactual may insert, by named label.
        wanted: ``constrained``; ``placebo``: less the same scores after a request for *any* word (robustness).
        wordings: In which words each style is asked for (robustness); None: the pinned ones.

    Raises:
        SaywhyError: If the model does not answer ``weigh``.
    """
    refuse_readouts(model, ("constrained",))
    if task.plan == "named-first":
        return {
            readout: _named_first(model, task, items, styles, pinned, placebo=readout == "placebo")
            for readout in wanted
        }
    asked_scores = explanation_scores(model, task, items, styles, pinned, wordings)
    scores: dict[Readout, list[dict[StyleName, EditScores]]] = {"constrained": asked_scores}
    if "placebo" in wanted:
        blind = edit_scores(model, items, styles, pinned, partial(_placebo_chat, task))
        scores["placebo"] = [
            {style: minus_placebo(of_edits, of_placebo[style]) for style, of_edits in by_style.items()}
            for by_style, of_placebo in zip(asked_scores, blind, strict=True)
        ]
    return {
        readout: [
            {
                style: Likeliest(
                    _likeliest_explanation(item.example.text, style, of_edits),
                    word_log_probabilities((word, score) for (word, _), (score, _) in by_asked[style].items()),
                )
                for style, of_edits in by_style.items()
            }
            for item, by_style, by_asked in zip(items, scores[readout], asked_scores, strict=True)
        ]
        for readout in wanted
    }


def _placebo_chat(task: Task, item: Item, style: StyleName) -> list[Message]:
    return conversation(task, item, prompts.placebo_turn(task, style))


def _named_first(
    model: Model, task: Task, items: Sequence[Item], styles: Sequence[StyleName], pinned: Pinned, *, placebo: bool
) -> list[dict[StyleName, Likeliest]]:
    """Return the explanations of replies that name their word first: it binds, so each style has the likeliest name.

    What a counterfactual inserts is the likeliest word in a copy behind the name.
    """
    pairs = [(item, style) for item in items for style in styles]
    names = [[word.key for word in candidates(item.example.text)] for item, _ in pairs]
    asked = _naming_choices(pairs, lambda item, style: explanation_chat(task, item, style, "one-word"))
    blind = _naming_choices(pairs, partial(_placebo_chat, task))
    scores = model.choose([*asked, *blind] if placebo else asked)
    asked_scores, compared = scores[: len(pairs)], scores[: len(pairs)]
    if placebo:
        compared = [tuple(map(operator.sub, *pair)) for pair in zip(asked_scores, scores[len(pairs) :], strict=True)]
    named = [likeliest_word(words, of_names) for words, of_names in zip(names, compared, strict=True)]
    swaps = [
        (item, key, [new for new in pinned[item.prediction.runner_up] if new != key])
        for (item, style), key in zip(pairs, named, strict=True)
        if style == "counterfactual"
    ]
    inserted = iter(
        likeliest_insertions(
            model,
            [explanation_chat(task, item, "counterfactual", "one-word") for item, _, _ in swaps],
            [item.example.text for item, _, _ in swaps],
            [key for _, key, _ in swaps],
            [words for _, _, words in swaps],
        )
    )
    likeliest = iter(
        Likeliest(
            _one_word_edit(item.example.text, key, next(inserted) if style == "counterfactual" else ""),
            word_log_probabilities(zip(words, of_names, strict=True)),
        )
        for (item, style), key, words, of_names in zip(pairs, named, names, asked_scores, strict=True)
    )
    return [{style: next(likeliest) for style in styles} for _ in items]


def _naming_choices(
    pairs: Sequence[tuple[Item, StyleName]], ask: Callable[[Item, StyleName], list[Message]]
) -> list[Choice]:
    """Return the choice of a text's word, as the whole reply or as its first line, of each item in its style."""
    return [
        word_choice(
            ask(item, style), [word.core for word in candidates(item.example.text)], goes_on=style != "attribution"
        )
        for item, style in pairs
    ]


def _likeliest_explanation(text: str, style: StyleName, scores: EditScores) -> Explanation:
    """Return the explanation at the best position; a counterfactual inserts the likeliest word there."""
    where = max(scores, key=lambda key: scores[key][0])[0]
    if style != "counterfactual":
        return _one_word_edit(text, where, "")
    return _one_word_edit(text, *max((key for key in scores if key[0] == where), key=lambda key: scores[key][1]))


def _one_word_edit(text: str, key: str, new: str) -> Explanation:
    """Return the explanation that takes a word out, or puts ``new`` in its place."""
    if not new:
        return Explanation(words=(key,), edited=take_out(text, {key}))
    edited = next(edited for word, _, edited in one_word_swaps(text, (new,)) if word == key)
    return Explanation(words=(key,), inserted=(new,), edited=edited)
