"""How far a reason is looked for: what the model says, the next words that it finds likeliest, every word and pairs.

Each step takes all texts at once: what they ask of the model is one prefix tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

from saywhy.explainer.inquiry import Inquiry, ReadReply
from saywhy.measure.edits import recheck
from saywhy.measure.likelihoods import word_scores
from saywhy.measure.predict import Classifier
from saywhy.measure.readouts import generated, guided_alone
from saywhy.tasks.lexicon import Pinned

NEXT_WORDS = 8
"""Words that ``repair`` tries behind the one that the model names."""
PAIRED_WORDS = 6
"""Words that ``search`` tries in pairs: those whose removal costs the answer most."""
BLOCK = 32
"""Words that ``search`` takes out at once, so that a limit of time can end it in between."""


def look_for_reasons(classifier: Classifier, pinned: Pinned, inquiries: Sequence[Inquiry]) -> None:
    """Ask for, recheck and, as far as each request says, repair and search the reasons of all texts."""
    _ask_for_reasons(classifier, inquiries)
    _recheck(classifier, inquiries, lambda inquiry: _replied_edits(inquiry))
    _recheck(classifier, inquiries, lambda inquiry: _sampled_edits(inquiry, pinned))
    _repair(classifier, [inquiry for inquiry in inquiries if _is_to_repair(inquiry)])
    _search_words(classifier, [inquiry for inquiry in inquiries if inquiry.request.effort == "search"])
    for inquiry in inquiries:
        if inquiry.chosen:  # more is known now of what other words would do
            inquiry.chosen = _first_that_holds(inquiry)


def _is_to_repair(inquiry: Inquiry) -> bool:
    """Whether the reason does not hold, and the model tells which words it would name next."""
    ask, keys = inquiry.request, inquiry.reason_keys
    if ask.effort == "self" or ask.reason_style == "counterfactual" or not inquiry.likelihoods:
        return False
    return not keys or inquiry.check_removal(keys).status != "holds"


def best_removal(inquiry: Inquiry) -> tuple[str, ...] | None:
    """Return the words of the strongest removal that was rechecked and holds: a single word, else a pair; else None."""
    singles = [(key,) for key in inquiry.known_words()]
    pairs = [pair for pair in strongest_pairs(inquiry) if inquiry.without(pair) in inquiry.after]
    for sets, others in ((singles, None), (pairs, inquiry.sampled_sets(2) if pairs else ())):
        held = [keys for keys in sets if inquiry.check_removal(keys, others).status == "holds"]
        if held:
            return max(held, key=inquiry.drop)
    return None


def _ask_for_reasons(classifier: Classifier, inquiries: Sequence[Inquiry]) -> None:
    """Ask for explanations in every style that is wanted, and how likely the model finds each word."""
    model, task = classifier.model, classifier.task
    items = [inquiry.item for inquiry in inquiries]
    wanted = [inquiry.request.styles for inquiry in inquiries]
    if "guide" in model.answers:
        replies = guided_alone(model, task, items, wanted)
    else:
        asked = sorted({style for styles in wanted for style in styles})
        of_texts = generated(model, task, items, [(style, "one-word") for style in asked])
        replies = [dict(zip(asked, of_text, strict=True)) for of_text in of_texts]
    for inquiry, by_style in zip(inquiries, replies, strict=True):
        inquiry.replies = {style: ReadReply(*by_style[style]) for style in inquiry.request.styles}
    if "weigh" in model.answers:
        for inquiry, scores in zip(inquiries, word_scores(model, task, items), strict=True):
            inquiry.likelihoods = scores


def _recheck(
    classifier: Classifier, inquiries: Sequence[Inquiry], edits_of: Callable[[Inquiry], Iterable[str]]
) -> None:
    """Recheck edited texts of all inquiries at once, as far as they are not known and the budget of each allows."""
    edits = [inquiry.unknown(edits_of(inquiry)) for inquiry in inquiries]
    if not any(edits):
        return
    rechecked = recheck(classifier, [inquiry.item for inquiry in inquiries], edits)
    for inquiry, texts, after in zip(inquiries, edits, rechecked, strict=True):
        inquiry.after.update(zip(texts, after, strict=True))


def _replied_edits(inquiry: Inquiry) -> list[str]:
    """Return the edits that the model replied, that of the reason first: a small budget is for it."""
    of_reason = inquiry.request.reason_style
    styles = sorted(inquiry.replies, key=lambda style: style != of_reason)
    edits = [inquiry.replies[style].explanation.edited for style in styles]
    return [edited for edited in edits if edited is not None]


def _sampled_edits(inquiry: Inquiry, pinned: Pinned) -> list[str]:
    """Return the edits by chance of what changes the answer: of the rest it is known that it does not hold."""
    named = inquiry.item.prediction.runner_up
    changed = {
        style: inquiry.changes(str(reply.explanation.edited), named if style == "counterfactual" else None)
        for style, reply in inquiry.replies.items()
    }
    edits = [inquiry.without({key}) for key in inquiry.sampled]
    edits = edits if any(hit for style, hit in changed.items() if style != "counterfactual") else []
    return [*edits, *(inquiry.sampled_swaps(pinned) if changed.get("counterfactual") else ())]


def _repair(classifier: Classifier, inquiries: Sequence[Inquiry]) -> None:
    """Try the next likeliest words of the model; the first that holds becomes the reason."""
    _recheck(classifier, inquiries, lambda inquiry: [inquiry.without({key}) for key in _next_words(inquiry)])
    _recheck_sampled(classifier, [inquiry for inquiry in inquiries if _single_that_changes(inquiry)])
    for inquiry in inquiries:
        inquiry.chosen = _first_that_holds(inquiry)


def _next_words(inquiry: Inquiry) -> list[str]:
    """Return the words that repair tries, in their order."""
    return inquiry.ranked()[: 1 + NEXT_WORDS]


def _first_that_holds(inquiry: Inquiry) -> tuple[str, ...] | None:
    """Return the first of the words that repair tries that holds, by what is known by now; None: none does."""
    held = (key for key in _next_words(inquiry) if inquiry.check_removal((key,)).status == "holds")
    first = next(held, None)
    return None if first is None else (first,)


def _recheck_sampled(classifier: Classifier, inquiries: Sequence[Inquiry]) -> None:
    """Recheck the words drawn by chance: without them it is not known whether a word is better than any other."""
    _recheck(classifier, inquiries, lambda inquiry: [inquiry.without({key}) for key in inquiry.sampled])


def _single_that_changes(inquiry: Inquiry) -> bool:
    return any(inquiry.changes(inquiry.without({key})) for key in inquiry.known_words())


def _search_words(classifier: Classifier, inquiries: Sequence[Inquiry]) -> None:
    """Take out every word, the likeliest first; where none by itself changes the answer, pairs of the strongest."""
    longest = max((len(inquiry.keys) for inquiry in inquiries), default=0)
    for start in range(0, longest, BLOCK):
        _recheck(classifier, inquiries, lambda inquiry, at=start: _block(inquiry, at))  # type: ignore[misc]
        # Before the budget or the time is spent on further words.
        _recheck_sampled(classifier, [inquiry for inquiry in inquiries if _single_that_changes(inquiry)])
    unexplained = [inquiry for inquiry in inquiries if not _single_that_changes(inquiry)]
    _recheck(classifier, unexplained, lambda inquiry: [inquiry.without(pair) for pair in strongest_pairs(inquiry)])
    paired = [
        inquiry
        for inquiry in unexplained
        if any(inquiry.changes(inquiry.without(pair)) for pair in strongest_pairs(inquiry))
    ]
    _recheck(classifier, paired, lambda inquiry: [inquiry.without(pair) for pair in inquiry.sampled_sets(2)])


def _block(inquiry: Inquiry, start: int) -> list[str]:
    return [inquiry.without({key}) for key in inquiry.ranked()[start : start + BLOCK]]


def strongest_pairs(inquiry: Inquiry) -> list[tuple[str, str]]:
    """Return the pairs of the words whose removal, as far as is known, costs the answer most."""
    strongest = sorted(inquiry.known_words(), key=lambda key: -inquiry.drop((key,)))[:PAIRED_WORDS]
    return list(combinations(strongest, 2))
