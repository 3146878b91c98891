"""``transplant`` on the texts where its donor's deciding word is not the start model's (docs/definitions.md, *Arms*).

Where both have the same deciding word, the targets of ``transplant`` name the model's own word.
"""

from __future__ import annotations

from saywhy import stats
from saywhy.arms import start_arm
from saywhy.report.arms import tables_of
from saywhy.report.format import Sheet, SheetCell, change_cell, p_value_cell, sheet_of
from saywhy.report.shares import SHARE_COLUMNS
from saywhy.report.study.pooled import CountedTexts, pooled_difference, pooled_share_cells, rival_gains
from saywhy.report.study.summary import StudySummary
from saywhy.stats import Difference, TextSeed

DEFAULT_DONOR = "base"
"""The donor of a plan that names none: the model as downloaded."""


def differing_in_task(summary: StudySummary, task: str) -> frozenset[TextSeed]:
    """Return the (text, seed) for which donor and start arm have different deciding words.

    The deciding word of a model is the one whose removal lowers the log-odds of its answer most.
    """
    run = summary.study.runs[task]
    donor, start = (tables_of(run, arm, summary.operator) for arm in (DEFAULT_DONOR, start_arm(run.arms)))
    shared = donor.keys() & start.keys()
    best = [{key: tables[key].words[tables[key].best()] for key in shared} for tables in (donor, start)]
    return frozenset(key for key in shared if best[0][key] != best[1][key])


def differing_by_task(summary: StudySummary) -> CountedTexts | None:
    """Return, for each task with a transplant, the (text, seed) for which its donor has another deciding word.

    None without a transplant, if the plan names a donor, or if the deciding words are the same everywhere.
    """
    gains = rival_gains(summary, "transplant")
    if not gains or summary.study.plan.get("with", {}).get("donor"):
        return None
    among = {task: differing_in_task(summary, task) for task in dict.fromkeys(gain.task for gain in gains)}
    return among if any(among.values()) else None


def donors_sheet(summary: StudySummary) -> Sheet | None:
    """Return the comparisons with transplant on the texts where the deciding words differ, all cells together last."""
    gains, among = rival_gains(summary, "transplant"), differing_by_task(summary)
    if among is None:
        return None
    differences = [pooled_difference(summary, [gain], among) for gain in gains]
    corrected = stats.holm([1.0 if difference.p is None else difference.p for difference in differences])
    rows: list[list[SheetCell | str]] = [
        [
            gain.task,
            gain.key.style,
            *_donor_figures(gain.contrast.difference, difference),
            p_value_cell(difference, p),
            *pooled_share_cells(summary, [gain], among),
        ]
        for gain, difference, p in zip(gains, differences, corrected, strict=True)
    ]
    overall = pooled_difference(summary, gains, among)
    figures = _donor_figures(pooled_difference(summary, gains), overall)
    shares = pooled_share_cells(summary, gains, among)
    rows.append(["all", "", *figures, p_value_cell(overall, None), *shares])
    on_all = ("task", "style", "texts", "difference")
    there = ("where words differ", "difference there", "p there (Holm)", *SHARE_COLUMNS)
    note = (
        f"One-word, {summary.readout}: mean excess of faithful minus that of transplant. Where words differ: texts in "
        "which the word whose removal costs the donor (the model as downloaded) most is another than for the model "
        "that both arms went on from. Exploratory; in brackets corrected (Holm) over the cells. Effect share: its "
        "difference there, by the arms' own tables, and both by those of the start arm."
    )
    return sheet_of("Where the donor goes by another word", (*on_all, *there), rows, note, texts=2)


def _donor_figures(on_all: Difference, on_differing: Difference) -> list[SheetCell | str]:
    return [str(on_all.n), change_cell(on_all), str(on_differing.n), change_cell(on_differing)]
