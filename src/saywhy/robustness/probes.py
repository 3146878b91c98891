"""Requests whose outcome is known beforehand: a rewrite should keep the answer, and so should an edit towards it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from saywhy.checks import Probe
from saywhy.measure.chats import conversation
from saywhy.measure.edits import log_odds_drop, recheck
from saywhy.measure.predict import Classifier
from saywhy.measure.rooms import reply_room
from saywhy.models.interface import Reply
from saywhy.protocol import prompts, styles
from saywhy.records import Explanation, is_hit
from saywhy.robustness.audited import AuditedText


def rewrites(classifier: Classifier, texts: Sequence[AuditedText]) -> list[Probe]:
    """Ask for other words of the same meaning (generated), and classify what comes."""
    requests = [prompts.rewrite_turn(classifier.task) for _ in texts]

    def read(text: str, reply: Reply) -> Explanation:
        return styles.read_rewrite(text, reply, cut=reply.cut)

    return _probes(classifier, texts, "rewrite", requests, read)


def wrong_targets(classifier: Classifier, texts: Sequence[AuditedText]) -> list[Probe]:
    """Ask for a counterfactual towards the answer that was given (generated), and classify what comes."""
    label_words = tuple(classifier.task.labels.values())
    requests = [
        prompts.request_turn(classifier.task, "counterfactual", "one-word", text.item.prediction.label)
        for text in texts
    ]

    def read(text: str, reply: Reply) -> Explanation:
        plan = classifier.task.plan
        return styles.read_reply("counterfactual", "one-word", text, reply, label_words, plan, cut=reply.cut)

    return _probes(classifier, texts, "wrong-target", requests, read)


def _probes(
    classifier: Classifier,
    audited: Sequence[AuditedText],
    name: str,
    requests: Sequence[prompts.Message],
    read: Callable[[str, Reply], Explanation],
) -> list[Probe]:
    items, rows = [text.item for text in audited], [text.rows[0] for text in audited]
    chats = [conversation(classifier.task, item, ask) for item, ask in zip(items, requests, strict=True)]
    texts = [item.example.text for item in items]
    rooms = [reply_room(text, "counterfactual", "one-word", classifier.task.plan) for text in texts]
    replies = classifier.model.generate(chats, rooms, copied=texts)
    explanations = [read(text, reply) for text, reply in zip(texts, replies, strict=True)]
    edits = [[explanation.edited] if explanation.edited is not None else [] for explanation in explanations]
    rechecks = recheck(classifier, items, edits)
    probes = []
    for item, row, reply, explanation, after in zip(items, rows, replies, explanations, rechecks, strict=True):
        before = item.prediction
        label, fall = (after[0].label, log_odds_drop(before, after[0])) if after else (None, None)
        probes.append(
            Probe(
                row.id,
                row.arm,
                row.seed,
                name,
                before.label,
                reply,
                explanation.edited,
                explanation.reason,
                label,
                fall,
                is_hit(label, before.label),
            )
        )
    return probes
