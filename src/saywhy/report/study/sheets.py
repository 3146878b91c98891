"""A study's comparisons as tables: one shape for every kind of comparison, so that they read alike."""

from __future__ import annotations

from collections.abc import Sequence

from saywhy.arms import kind, kind_and_variant
from saywhy.records import Readout, Setting
from saywhy.report.cells import CellKey, several_words_legend
from saywhy.report.contrasts import UNCLEAR
from saywhy.report.format import (
    NO_NUMBER,
    Sheet,
    SheetCell,
    change_cell,
    estimate_cell,
    number,
    p_value,
    p_value_cell,
    sheet_of,
    texts_needed_cell,
    values_by_seed_cell,
)
from saywhy.report.shares import (
    SHARE_COLUMNS,
    SHARE_DIFFERENCE_LEGEND,
    SHARE_LEGEND,
    share_cells,
    share_difference_cells,
)
from saywhy.report.study.ablations import ablations_of, curve_of, variant_settings
from saywhy.report.study.bar_checks import check_bars
from saywhy.report.study.gains import Gain
from saywhy.report.study.summary import StudySummary, is_finding, main_arms
from saywhy.report.summary import Cell

GAINS_NOTE = (
    "n: texts; seeds are averaged within a text. Difference: of mean excess, on the same texts. p: sign flips over "
    f"texts; in brackets corrected (Holm) within the family. {SHARE_DIFFERENCE_LEGEND} Floor / ceiling: their change "
    "against the start arm; ! more than 5 points, so that part of a gain may be brittleness."
)
PLANNING_NOTE = (
    "For 80 %: texts that a next study needs to find a difference as large as this one in four of five cases "
    "(uncorrected)."
)


def confirmatory_sheet(summary: StudySummary) -> Sheet | None:
    """Return the confirmatory comparisons as short as a terminal needs them; None if nothing is frozen."""
    rows: list[list[SheetCell | str]] = []
    rivals = list(dict.fromkeys(kind_and_variant(cell.against) for cell in summary.frozen)) or [""]
    several = len(rivals) > 1
    for gain in summary.confirmatory:
        contrast = gain.contrast
        shown = [
            str(contrast.difference.n),
            str(change_cell(contrast.difference)),
            p_value(contrast.p_holm),
            share_difference_cells(contrast.effect_share, contrast.effect_share_start)[0].main,
            gain_result(summary, gain),
        ]
        rows.append([gain.task, gain.key.style, *[kind_and_variant(contrast.rival)] * several, *shown])
    for cell in summary.unmeasured:
        place = [cell.task, cell.key.style, *[kind_and_variant(cell.against)] * several]
        rows.append([*place, *[SheetCell(NO_NUMBER)] * 4, "not measured"])
    header = ("task", "style", *["against"] * several, "n", "difference", "p (Holm)", SHARE_COLUMNS[0], "result")
    other = "the other arm" if several else "the matched control" if kind(rivals[0]) == "random" else rivals[0]
    note = f"Difference of mean excess to {other}, same texts; p corrected for {len(summary.frozen)} cells."
    note += " Effect share: its difference, each arm by its own tables."
    return sheet_of("Confirmatory cells", header, rows, note) if rows else None


def gain_sheet(
    summary: StudySummary, title: str, gains: Sequence[Gain], note: str = "", *, planning: bool = False
) -> Sheet | None:
    """Return comparisons, one a line, with ``planning`` the texts that a next study needs; None if there are none."""
    if not gains:
        return None
    header: tuple[str, ...] = (
        "task", "style", "arm", "against", "n", "excess", "of the other", "difference", "by seed", "p (Holm)", "result",
        "score", *SHARE_COLUMNS, "floor / ceiling",
    )  # fmt: skip
    rows = [_gain_row(summary, gain) for gain in gains]
    if planning:
        header, note = (*header, "for 80 %"), f"{note} {PLANNING_NOTE}".strip()
        rows = [[*row, texts_needed_cell(gain.contrast.needed)] for row, gain in zip(rows, gains, strict=True)]
    return sheet_of(title, header, rows, f"{note} {GAINS_NOTE}".strip(), texts=4)


def _gain_row(summary: StudySummary, gain: Gain) -> list[SheetCell | str]:
    contrast = gain.contrast
    cell, other_arm = summary.cell(gain.task, gain.key), summary.study.arm(contrast.rival)
    same_practice = not other_arm.styles or other_arm.practice == gain.arm.practice
    against = other_arm.kind_and_variant if same_practice else other_arm.name
    return [
        gain.task,
        gain.key.style,
        gain.key.arm,
        against,
        str(contrast.difference.n),
        *(SheetCell(number(level)) for level in gain.levels),
        change_cell(contrast.difference),
        values_by_seed_cell(contrast.difference.seeds),
        p_value_cell(contrast.difference, contrast.p_holm),
        gain_result(summary, gain),
        estimate_cell(cell.score) if cell else SheetCell(NO_NUMBER),
        *share_difference_cells(contrast.effect_share, contrast.effect_share_start),
        _drift_shown(summary, gain.task, gain.key),
    ]


def gain_result(summary: StudySummary, gain: Gain) -> str:
    """Return what a comparison shows; only a frozen one can be confirmed."""
    if gain.frozen is not None:
        stands = gain.stands(summary.alpha)
        if gain.missing_seeds:
            return f"so far {stands or 'not shown'}"
        return "confirmed" if gain.confirmed(summary.alpha) else "the opposite" if stands else "not shown"
    return gain.contrast.verdict if gain.contrast.verdict != UNCLEAR else "not shown"


def _drift_shown(summary: StudySummary, task: str, key: CellKey) -> SheetCell:
    """Return how far floor and ceiling moved, with a mark where it is far."""
    drift = summary.drifts.get((task, key))
    if drift is None:
        return SheetCell(NO_NUMBER)
    floor, ceiling = change_cell(drift.floor), change_cell(drift.ceiling)
    mark = "" if drift.near() else " !"
    return SheetCell(f"{floor.main} / {ceiling.main}{mark}", "", f"floor {floor}, ceiling {ceiling}")


def results_sheet(summary: StudySummary, setting: Setting, readout: Readout) -> Sheet | None:
    """Return the arms of the answer in practised styles, beside what they went on from and the control."""
    rows: list[list[SheetCell | str]] = []
    keys: list[CellKey] = []
    for task, run_summary in summary.tasks.items():
        arms = compared_arms(summary, task)
        for cell in run_summary.cells:
            condition = (cell.key.setting, cell.key.readout, cell.key.operator)
            if cell.key.arm in arms and condition == (setting, readout, summary.operator):
                rows.append(_result_row(summary, task, cell))
                keys.append(cell.key)
    rows.sort(key=lambda row: list(summary.tasks).index(str(row[0])))
    header = (
        "task", "style", "arm", "n", "valid", "hit", "floor", "ceiling", "excess", "score", "score, can flip",
        "start-graded", *SHARE_COLUMNS, "floor / ceiling",
    )  # fmt: skip
    note = (
        "Hit: the answer changes when the explanation is carried out; invalid is a miss. Floor: hits of a random word. "
        f"Ceiling: any word hits.{several_words_legend(keys)} Excess: hit minus floor. Score: excess as a share of "
        "what the best word could do. Can flip: on texts that can flip in this arm and in the start arm. Start-graded: "
        f"the named words' excess in the start arm. {SHARE_LEGEND} Floor / ceiling: their change against the start "
        "arm, of one word; ! more than 5 points. n: texts x seeds."
    )
    return sheet_of(f"{setting}, {readout}", header, rows, note, texts=3) if rows else None


def compared_arms(summary: StudySummary, task: str) -> set[str]:
    """Return the arms of the answer that practised on a task, their controls, and what they went on from."""
    arms = [arm for arm in main_arms(summary) if task in arm.tasks]
    controls = [control for arm in arms if (control := summary.study.control(arm)) is not None]
    return {"base", "adapted", *(arm.name for arm in (*arms, *controls))} if arms else set()


def _result_row(summary: StudySummary, task: str, cell: Cell) -> list[SheetCell | str]:
    valid = estimate_cell(cell.validity) if cell.key.readout == "generated" else SheetCell(NO_NUMBER)
    return [
        task,
        cell.key.style,
        cell.key.arm,
        str(cell.rows),
        valid,
        estimate_cell(cell.hit),
        SheetCell(number(cell.floor.value)),
        SheetCell(number(cell.ceiling.value)),
        estimate_cell(cell.excess),
        estimate_cell(cell.score),
        estimate_cell(cell.score_flippable),
        estimate_cell(cell.start_graded),
        *share_cells(cell),
        _drift_shown(summary, task, cell.key),
    ]


def bars_sheet(summary: StudySummary) -> Sheet | None:
    """Return the bars that the plan set, and by how much each is missed."""
    bars = check_bars(summary)
    rows: list[list[SheetCell | str]] = []
    for bar in bars:
        tried = bar.tried or "nothing" * (bar.state == "missed")
        rows.append([bar.requirement, bar.place, *map(SheetCell, (bar.measured, bar.state, bar.missed_by, tried))])
    met = sum(bar.state == "met" for bar in bars)
    undecided = sum(bar.state == "open" for bar in bars)
    note = f"{met} of {len(bars)} met" + (f", {undecided} not decided yet." if undecided else ".")
    note += (
        " A score, and floor and ceiling, are judged by their point estimates. Tried: what the variants "
        "of the arm came to under the seeds that they have (score: against the arm itself under these seeds)."
    )
    header = ("bar", "where", "found", "state", "missed by", "tried")
    return sheet_of("Bars", header, rows, note, texts=6) if rows else None


def graded_sheet(summary: StudySummary) -> Sheet | None:
    """Return the named words graded by the current model and by the start model, every trained arm on its tasks."""
    rows: list[list[SheetCell | str]] = []
    for task, run_summary in summary.tasks.items():
        for cell in run_summary.cells:
            arm = summary.study.arm(cell.key.arm)
            trained = task in arm.tasks and cell.key.style in arm.styles
            if is_finding(summary, cell.key) and trained and cell.start_graded.n:
                excesses = [estimate_cell(cell.excess), estimate_cell(cell.start_graded)]
                drift = _drift_shown(summary, task, cell.key)
                rows.append([task, cell.key.style, arm.name, str(cell.rows), *excesses, *share_cells(cell), drift])
    excess_columns = ("excess, current", "excess, start-graded")
    header = ("task", "style", "arm", "n", *excess_columns, *SHARE_COLUMNS, "floor / ceiling")
    note = (
        f"One-word, {summary.readout}. Current: the word is taken out and the arm itself is asked again. Start-graded: "
        "the same word, in the table of the start arm of the same seed. Words that only the current model obeys are "
        "explanations of a model that changed; words that both obey were there before the training. "
        f"Counterfactuals: the same edit in the start arm, where it was to bring the same label about. {SHARE_LEGEND}"
    )
    return sheet_of("Current and start model", header, rows, note, texts=3) if rows else None


def ablation_sheet(summary: StudySummary) -> Sheet | None:
    """Return every variant against the arm that it varies."""
    rows: list[list[SheetCell | str]] = []
    for ablation in ablations_of(summary):
        generated = summary.cell(ablation.task, _generated_key(ablation.cell.key))
        rows.append(
            [
                ablation.task,
                ablation.arm.kind_and_variant,
                variant_settings(ablation.arm),
                ablation.cell.key.style,
                str(ablation.difference.n),
                change_cell(ablation.difference),
                p_value_cell(ablation.difference, ablation.p_holm),
                estimate_cell(ablation.cell.score),
                *share_cells(ablation.cell),
                estimate_cell(generated.validity) if generated else SheetCell(NO_NUMBER),
                change_cell(ablation.accuracy) if ablation.accuracy is not None else SheetCell(NO_NUMBER),
                _drift_shown(summary, ablation.task, ablation.cell.key),
            ]
        )
    header = (
        "task", "arm", "differs in", "style", "n", "difference", "p (Holm)", "score", *SHARE_COLUMNS, "valid",
        "accuracy", "floor / ceiling",
    )  # fmt: skip
    note = (
        "Exploratory. Difference: mean excess of the variant minus that of the arm without variant (one-word, "
        f"{summary.readout}; same texts and seeds). Holm over these lines. {SHARE_LEGEND} "
        "Valid: of its generated one-word replies. Accuracy: on the split, minus that of the arm without variant."
    )
    return sheet_of("Ablations", header, rows, note, texts=4) if rows else None


def _generated_key(key: CellKey) -> CellKey:
    return CellKey(key.arm, key.style, key.setting, "generated", key.operator)


def study_curve_sheet(summary: StudySummary) -> Sheet | None:
    """Return the learning curve in numbers."""
    points = curve_of(summary)
    rows: list[list[SheetCell | str]] = [
        [
            point.task,
            point.style,
            point.label,
            str(point.rows),
            ", ".join(map(str, point.seeds)),
            str(point.excess.n),
            *map(estimate_cell, (point.excess, point.score, point.effect_share, point.effect_share_start)),
        ]
        for point in points
    ]
    header = ("task", "style", "arm", "training texts", "seeds", "n", "excess", "score", *SHARE_COLUMNS)
    note = (
        f"Exploratory; one-word, {summary.readout}, styles that were practised, the seeds that all points have. n: "
        "texts."
    )
    return (
        sheet_of("Learning curve", header, rows, note, texts=3) if len({point.rows for point in points}) > 1 else None
    )
