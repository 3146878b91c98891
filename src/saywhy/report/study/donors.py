"""``transplant`` where its donor goes by another word than the model itself (DESIGN, *Arms*).

Where both decide by the same word, practice on the donor's words is practice on the model's own.
"""

from __future__ import annotations

from saywhy import stats
from saywhy.report.arms import start_arm, tables_of
from saywhy.report.format import Sheet, Shown, change, p_of, sheet
from saywhy.report.study.pooled import Among, against, pooled
from saywhy.report.study.summary import StudySummary
from saywhy.stats import Difference, Key

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

    None where no arm practised a donor's words, those of another donor than ``DONOR``, or where it goes by no other.
    """
    gains = against(summary, "transplant")
    if not gains or summary.study.plan.get("with", {}).get("donor"):
        return None
    found = {task: apart(summary, task) for task in dict.fromkeys(gain.task for gain in gains)}
    return found if any(found.values()) else None


def donors_sheet(summary: StudySummary) -> Sheet | None:
    """Return transplant's comparisons on the texts in which its donor goes by another word, all cells together last."""
    gains, among = against(summary, "transplant"), differing(summary)
    if among is None:
        return None
    cells = [pooled(summary, [gain], among) for gain in gains]
    corrected = stats.holm([1.0 if there.p is None else there.p for there in cells])
    rows: list[list[Shown | str]] = [
        [gain.task, gain.key.style, *_figures(gain.contrast.difference, there), p_of(there, p)]
        for gain, there, p in zip(gains, cells, corrected, strict=True)
    ]
    together = pooled(summary, gains, among)
    rows.append(["all", "", *_figures(pooled(summary, gains), together), p_of(together, None)])
    header = ("task", "style", "texts", "difference", "where words differ", "difference there", "p there (Holm)")
    note = (
        "One-word, constrained: mean excess of faithful minus that of transplant. Where words differ: texts in which "
        "the word whose removal costs the donor (the model as downloaded) most is another than for the model that both "
        "arms went on from. Exploratory; in brackets corrected (Holm) over the cells."
    )
    return sheet("Where the donor goes by another word", header, rows, note, texts=2)


def _figures(every: Difference, there: Difference) -> list[Shown | str]:
    return [str(every.n), change(every), str(there.n), change(there)]
