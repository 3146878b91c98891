"""What each arm answers: how often each label, beside the gold labels, and where it is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from saywhy import stats
from saywhy.records import Decision
from saywhy.report.format import Sheet, SheetCell, counted, estimate_text, joined, number, sheet_of
from saywhy.report.headline import headline_arm
from saywhy.report.summary import Summary
from saywhy.stats import LEAST_TEXTS

NEARLY_ALL = 0.95
"""Share of the texts with one label from which on an arm hardly answers at all."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The labels that an arm gave (texts x seeds).

    Attributes:
        labels: How often each calibrated label.
        raw: How often each label before calibration.
        gold: How often each gold label, of the texts that have one.
        confusion: How often each (gold label, calibrated label).
    """

    labels: Counter[str]
    raw: Counter[str]
    gold: Counter[str]
    confusion: Counter[tuple[str, str]]

    @classmethod
    def of(cls, decisions: Sequence[Decision]) -> Answers:
        """Count the labels of ``decisions``."""
        labelled = [(decision.gold, decision.label) for decision in decisions if decision.gold is not None]
        return cls(
            Counter(decision.label for decision in decisions),
            Counter(decision.raw_label for decision in decisions),
            Counter(gold for gold, _ in labelled),
            Counter(labelled),
        )

    @property
    def majority(self) -> float | None:
        """Accuracy of always giving the most frequent gold label; None without gold labels."""
        return self.gold.most_common(1)[0][1] / self.gold.total() if self.gold else None


def answers_sheets(summary: Summary) -> list[Sheet]:
    """Return how often each arm gives each label, and the headline arm's answers against the gold labels."""
    decisions = {arm: [item for item in summary.run.decisions if item.arm == arm] for arm in summary.run.arms}
    answers = {arm: Answers.of(of_arm) for arm, of_arm in decisions.items() if of_arm}
    if not answers:
        return []
    names = _label_names(summary, answers)
    header = ("answers of", "n", *names.values(), "majority")
    rows: list[list[SheetCell | str]] = []
    for arm, given in answers.items():
        shares = [_share_cell(given.labels, given.raw, label) for label in names]
        rows.append([arm, str(given.labels.total()), *shares, number(given.majority)])
    note = (
        "Share of the texts with each label (in brackets: before calibration). Majority: accuracy of always giving the "
        "most frequent gold label."
    )
    sheets = [sheet_of("Answers", header, rows, note, texts=1)]
    arm = headline_arm(summary)
    if arm in answers and answers[arm].gold:
        confusion = answers[arm].confusion
        table = [[names[gold], *(str(confusion[gold, label]) for label in names)] for gold in names]
        title = f"Gold labels against the answers of {arm}"
        sheets.append(sheet_of(title, ("gold", *names.values()), table, _pinned_note(summary, names), texts=1))
    return sheets


def answers_warning(summary: Summary) -> str:
    """Return what makes the headline arm no classifier whose reasons are worth asking for; empty if nothing does."""
    arm = headline_arm(summary)
    decisions = [decision for decision in summary.run.decisions if decision.arm == arm]
    given = Answers.of(decisions)
    texts = len({decision.id for decision in decisions})
    if texts < LEAST_TEXTS:
        return ""
    of_texts = "texts" if texts == len(decisions) else f"answers ({counted(texts, 'text')})"
    names = _label_names(summary, {arm: given})
    problems = []
    for counts, when in ((given.labels, ""), (given.raw, " before calibration")):
        label, count = counts.most_common(1)[0]
        if count >= NEARLY_ALL * counts.total() and (given.majority or 0) < NEARLY_ALL:
            problems.append(f"answers {names[label]} to {count} of {counts.total()} {of_texts}{when}")
    retention = next((retention for retention in summary.retention if retention.arm == arm), None)
    if retention is not None and given.majority is not None:
        accuracy = retention.accuracy
        if accuracy.value is not None and accuracy.value <= given.majority:
            most = names[given.gold.most_common(1)[0][0]]
            problems.append(
                f"has an accuracy of {estimate_text(accuracy)}, no more than always answering {most} "
                f"({number(given.majority)})"
            )
        change = stats.paired_difference(stats.correctness(decisions), stats.correctness(decisions, raw=True))
        if change.high is not None and change.high < 0:
            problems.append(f"loses accuracy by calibration ({estimate_text(change)}): see calibration=none")
    return f"Beware: {arm} {joined(problems)}." if problems else ""


def _label_names(summary: Summary, answers: dict[str, Answers]) -> dict[str, str]:
    """Return the label words by label, those of the task first, in its order."""
    words = summary.run.task.get("labels", {})
    words = words if isinstance(words, dict) else {}
    seen = {label for given in answers.values() for label in (*given.labels, *given.raw, *given.gold)}
    return {label: str(words.get(label, label)) for label in (*words, *sorted(seen - set(words)))}


def _share_cell(labels: Counter[str], raw: Counter[str], label: str) -> SheetCell:
    return SheetCell(number(labels[label] / labels.total()), f"({number(raw[label] / raw.total())})")


def _pinned_note(summary: Summary, names: dict[str, str]) -> str:
    """Say which words counterfactuals towards each label inserted."""
    words: dict[str, dict[str, None]] = {}
    for grid in (grid for grids in summary.run.grids.values() for grid in grids):
        words.setdefault(grid.named, {}).update(dict.fromkeys(grid.inserted))
    lists = [f"{names.get(label, label)}: {', '.join(words[label])}" for label in names if label in words]
    return f"Pinned words, which counterfactuals insert: {'; '.join(lists)}." if lists else ""
