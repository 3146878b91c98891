"""``transplant`` where its donor goes by another word than the model itself (DESIGN, *Arms*).

Where both decide by the same word, practice on the donor's words is practice on the model's own.
"""

from __future__ import annotations

from saywhy.report.arms import start_arm, tables_of
from saywhy.report.format import Sheet, Shown, change, p_value, sheet
from saywhy.report.study.pooled import Among, against, pooled
from saywhy.report.study.summary import StudySummary
from saywhy.stats import Key

DONOR = "base"
"""The donor, if a plan names no other: the model as downloaded."""


def apart(summary: StudySummary, task: str) -> frozenset[Key]:
    """Return the (text, seed) in which donor and start arm go by different words.

    A model goes by the word whose removal costs its answer most.
    """
    run = summary.study.runs[task]
    donor, start = (tables_of(run, arm, summary.operator) for arm in (DONOR, start_arm(run.arms)))
    shared = donor.keys() & start.keys()
    best = [{key: tables[key].words[tables[key].best()] for key in shared} for tables in (donor, start)]
    return frozenset(key for key in shared if best[0][key] != best[1][key])


def differing(summary: StudySummary) -> Among | None:
    """Return, for each task with a transplant, the (text, seed) in which its donor goes by another word.

    None where no arm practised a donor's words, or those of a donor that was not audited.
    """
    gains = against(summary, "transplant")
    if not gains or summary.study.plan.get("with", {}).get("donor"):
        return None
    return {task: apart(summary, task) for task in dict.fromkeys(gain.task for gain in gains)}


def donors_sheet(summary: StudySummary) -> Sheet | None:
    """Return transplant's comparisons on the texts in which its donor goes by another word, all cells together last."""
    gains, among = against(summary, "transplant"), differing(summary)
    if among is None:
        return None
    lines = [(gain.task, gain.key.style, [gain]) for gain in gains] + [("all", "", gains)]
    rows: list[list[Shown | str]] = []
    for task, style, some in lines:
        every, there = pooled(summary, some), pooled(summary, some, among)
        rows.append([task, style, str(every.n), change(every), str(there.n), change(there), p_value(there.p)])
    header = ("task", "style", "texts", "difference", "where words differ", "difference there", "p there")
    note = (
        "One-word, constrained: mean excess of faithful minus that of transplant. Where words differ: texts in which "
        "the word whose removal costs the donor (the model as downloaded) most is another than for the model that both "
        "arms went on from. Exploratory, not corrected."
    )
    return sheet("Where the donor goes by another word", header, rows, note, texts=2)
