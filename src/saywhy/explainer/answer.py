"""What is known of an inquiry, as the decision that is given; a reason that does not hold is said not to."""

from __future__ import annotations

import math
from typing import Any

from saywhy.explainer.confidence import FittedConfidence
from saywhy.explainer.decision import (
    Check,
    EditedReply,
    ExplainedDecision,
    FoundReason,
    Reason,
    WordEffect,
)
from saywhy.explainer.inquiry import Inquiry
from saywhy.explainer.steps import NEXT_WORDS, PAIRED_WORDS, best_removal, strongest_pairs
from saywhy.records import StyleName
from saywhy.tasks.lexicon import Pinned
from saywhy.tasks.task import Task


def unexplainable_decision(inquiry: Inquiry, task: Task, problem: str) -> ExplainedDecision:
    """Return a decision of which nothing can be explained."""
    check = Check("not_explainable", problem=problem)
    return ExplainedDecision(**_of_prediction(inquiry, task), reason=None, check=check, message=problem)


def explained_decision(
    inquiry: Inquiry, task: Task, pinned: Pinned, confidence: FittedConfidence | None = None
) -> ExplainedDecision:
    """Return the decision with its reason, and with what the ruler found where that does not hold."""
    reason, check = _reason(inquiry), _reason_check(inquiry, pinned)
    fallback = None if check.status == "holds" else _found(inquiry)
    return ExplainedDecision(
        **_of_prediction(inquiry, task),
        reason=reason,
        check=check,
        confidence=confidence.of(inquiry) if confidence else None,
        fallback=fallback,
        counterfactual=_edited_reply(inquiry, "counterfactual", pinned),
        redaction=_edited_reply(inquiry, "redaction", pinned),
        effects=_effects(inquiry),
        message=_message(inquiry, task, reason, check, fallback),
    )


def _of_prediction(inquiry: Inquiry, task: Task) -> dict[str, Any]:
    prediction = inquiry.item.prediction
    probabilities = {label: math.exp(score) for label, score in prediction.scores.items()}
    return {
        "text": inquiry.request.text,
        "context": dict(inquiry.request.context),
        "task": task.name,
        "label": prediction.label,
        "raw_label": prediction.raw_label,
        "probability": probabilities[prediction.label],
        "margin": prediction.margin,
        "probabilities": probabilities,
        "label_words": dict(task.labels),
        "effort": inquiry.request.effort,
        "rechecks": len(inquiry.after),
    }


def _reason(inquiry: Inquiry) -> Reason | None:
    keys, style = inquiry.reason_keys, inquiry.request.reason_style
    if not keys:
        return None
    reply = inquiry.replies.get(style)
    is_replied = reply is not None and reply.explanation.words == keys
    return Reason(
        words=inquiry.cores(keys),
        spans=inquiry.spans(keys),
        style=style,
        reply=reply.text if reply and is_replied else None,
        rank=1 if is_replied else 1 + inquiry.ranked().index(keys[0]),
    )


def _reason_check(inquiry: Inquiry, pinned: Pinned) -> Check:
    style, keys = inquiry.request.reason_style, inquiry.reason_keys
    if not keys:
        return Check("invalid", problem=inquiry.replies[style].explanation.reason)
    if style == "counterfactual":
        return inquiry.check_swap(str(inquiry.replies[style].explanation.edited), pinned)
    return inquiry.check_removal(keys)


def _found(inquiry: Inquiry) -> FoundReason | None:
    keys = best_removal(inquiry) if inquiry.request.effort == "search" else None
    if not keys:
        return None
    others = inquiry.sampled_sets(2) if len(keys) == 2 else None
    return FoundReason(inquiry.cores(keys), inquiry.spans(keys), inquiry.check_removal(keys, others))


def _edited_reply(inquiry: Inquiry, style: StyleName, pinned: Pinned) -> EditedReply | None:
    reply = inquiry.replies.get(style)
    if reply is None:
        return None
    explanation = reply.explanation
    named = inquiry.item.prediction.runner_up if style == "counterfactual" else None
    if not explanation.valid:
        check = Check("invalid", problem=explanation.reason)
        return EditedReply((), (), (), None, reply.text, named, check)
    if style == "counterfactual":
        check = inquiry.check_swap(str(explanation.edited), pinned)
    else:
        check = inquiry.check_removal(explanation.words)
    keys = explanation.words
    return EditedReply(
        inquiry.cores(keys),
        inquiry.spans(keys),
        explanation.inserted,
        explanation.edited,
        reply.text,
        named,
        check,
    )


def _effects(inquiry: Inquiry) -> tuple[WordEffect, ...]:
    effects = []
    for key in inquiry.known_words():
        (core,) = inquiry.cores({key})
        label = inquiry.after[inquiry.without({key})].label
        effects.append(WordEffect(core, inquiry.spans({key}), inquiry.drop((key,)), label))
    return tuple(effects)


def _message(inquiry: Inquiry, task: Task, reason: Reason | None, check: Check, fallback: FoundReason | None) -> str:
    """Return what can be said of the reason, in one line."""
    answer = task.labels[inquiry.item.prediction.label]
    beyond = _beyond(inquiry, fallback)
    if reason is None:
        return f"the model gives no reason that can be read: {check.problem}; {beyond}"
    words = _quoted(reason.words)
    if check.label_without is None:
        return f"the model names {words}: {check.problem}; {beyond}"
    other, is_swap = task.labels[check.label_without], reason.style == "counterfactual"
    if check.status == "holds":
        how = "with another word in its place" if is_swap else "without it"
        return f"{words} decides: {how} the answer is {other}, not {answer}"
    if check.status == "too_close":
        line = f"{'with another word in place of' if is_swap else 'without'} {words} the answer is {other}"
        return f"{line}{_closeness(check, is_swap=is_swap)}{f'; {beyond}' if fallback else ''}"
    if is_swap:
        named = task.labels[inquiry.item.prediction.runner_up]
        return f"the model replaces {words}, but the answer is then {other}, not {named}; {beyond}"
    return f"the model names {words}, but without it the answer stays {answer}; {beyond}"


def _closeness(check: Check, *, is_swap: bool) -> str:
    """Return what other explanations would do beside one that is no better than they."""
    if check.chance is None:
        return "; what other words would do was not rechecked"
    share = f"{100 * check.chance:.0f} % of {check.chance_of}"
    if is_swap:
        return f", but so it is with {share} other replacements that were tried: this one tells nothing"
    return f", but so it is without {share} words that were tried: no word decides by itself"


def _beyond(inquiry: Inquiry, fallback: FoundReason | None) -> str:
    """Return what the ruler knows of other reasons."""
    if fallback:
        verb, pronoun = ("decides", "it") if len(fallback.words) == 1 else ("together decide", "them")
        return (
            f"found by the ruler, not said by the model: {_quoted(fallback.words)} {verb}, without {pronoun} it changes"
        )
    effort, known, limit = inquiry.request.effort, inquiry.known_words(), inquiry.limit
    if effort == "self" or (effort == "repair" and inquiry.request.reason_style == "counterfactual"):
        return "no other reason was looked for"
    if effort == "repair":
        is_tried = set(inquiry.ranked()[: 1 + NEXT_WORDS]) <= set(known)
        return "nor do its next words hold" if is_tried else f"its next words were not all tried within the {limit}"
    changing = [key for key in known if inquiry.changes(inquiry.without({key}))]
    if len(known) < len(inquiry.keys):
        if changing and inquiry.check_removal(changing[:1]).chance is None:
            word = _quoted(inquiry.cores(changing[:1]))
            return f"without {word} it changes, but the {limit} left nothing to recheck other words with"
        return f"{len(known)} of {len(inquiry.keys)} words were tried within the {limit}, none holds"
    if changing:
        return "no single word holds"
    pairs = strongest_pairs(inquiry)
    tried = sum(inquiry.without(pair) in inquiry.after for pair in pairs)
    if tried < len(pairs):
        return f"no single word holds, and {tried} of {len(pairs)} pairs were tried within the {limit}, none holds"
    if len(known) > PAIRED_WORDS:
        return f"no single word holds, nor do two of the {PAIRED_WORDS} strongest together"
    return "no reason of up to two words holds"


def _quoted(words: tuple[str, ...]) -> str:
    return " and ".join(f'"{word}"' for word in words)
