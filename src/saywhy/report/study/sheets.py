"""A study's comparisons as tables: one shape for every kind of comparison, so that they read alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from saywhy.report.cells import Key
from saywhy.report.contrasts import NOT_SHOWN
from saywhy.report.format import (
    NOTHING,
    Sheet,
    Shown,
    by_seed,
    change,
    estimate,
    needed_of,
    number,
    p_of,
    p_value,
    sheet,
)
from saywhy.report.study.ablations import Point, ablations_of, curve_of, told
from saywhy.report.study.bars import check
from saywhy.report.study.gains import Gain
from saywhy.report.study.groups import groups_of
from saywhy.report.study.summary import StudySummary, main_arms
from saywhy.report.summary import Cell

GAINS_NOTE = (
    "n: texts; seeds are averaged within a text. Difference: of mean excess, on the same texts. p: sign flips over "
    "texts; in brackets corrected (Holm) within the family. Floor / ceiling: their change against the start arm; ! "
    "more than 5 points, so that part of a gain may be brittleness."
)
PLANNING_NOTE = (
    "For 80 %: texts that a next study needs to find a difference as large as this one in four of five cases "
    "(uncorrected)."
)


def confirmatory_sheet(summary: StudySummary) -> Sheet | None:
    """Return the confirmatory comparisons as short as a terminal needs them; None if nothing is frozen."""
    rows: list[list[Shown | str]] = []
    for gain in summary.confirmatory:
        found = gain.contrast
        shown = [str(found.difference.n), str(change(found.difference)), p_value(found.p_holm), result(summary, gain)]
        rows.append([gain.task, gain.key.style, *shown])
    for cell in summary.unmeasured:
        rows.append([cell.task, cell.key.style, *[Shown(NOTHING)] * 3, "not measured"])
    header = ("task", "style", "n", "difference", "p (Holm)", "result")
    note = f"Difference of mean excess to the matched control, same texts; p corrected for {len(summary.frozen)} cells."
    return sheet("Confirmatory cells", header, rows, note) if rows else None


def gain_sheet(
    summary: StudySummary, title: str, gains: Sequence[Gain], note: str = "", *, planning: bool = False
) -> Sheet | None:
    """Return comparisons, one a line, with ``planning`` the texts that a next study needs; None if there are none."""
    if not gains:
        return None
    header: tuple[str, ...] = (
        "task", "style", "arm", "against", "n", "excess", "of the other", "difference", "by seed", "p (Holm)", "result",
        "score", "floor / ceiling",
    )  # fmt: skip
    rows = [_gain_row(summary, gain) for gain in gains]
    if planning:
        header, note = (*header, "for 80 %"), f"{note} {PLANNING_NOTE}".strip()
        rows = [[*row, needed_of(gain.contrast.needed)] for row, gain in zip(rows, gains, strict=True)]
    return sheet(title, header, rows, f"{note} {GAINS_NOTE}".strip(), texts=4)


def _gain_row(summary: StudySummary, gain: Gain) -> list[Shown | str]:
    found = gain.contrast
    mine, other = summary.cell(gain.task, gain.key), summary.study.arm(found.other)
    against = other.sort if not other.styles or other.practice == gain.arm.practice else other.name
    return [
        gain.task,
        gain.key.style,
        gain.key.arm,
        against,
        str(found.difference.n),
        *(Shown(number(level)) for level in gain.levels),
        change(found.difference),
        by_seed(found.difference.seeds),
        p_of(found.difference, found.p_holm),
        result(summary, gain),
        estimate(mine.score) if mine else Shown(NOTHING),
        _drift(summary, gain.task, gain.key),
    ]


def result(summary: StudySummary, gain: Gain) -> str:
    """Return what a comparison shows; only a frozen one can be confirmed."""
    if gain.frozen is not None:
        stands = gain.stands(summary.alpha)
        if gain.lacks:
            return f"so far {stands or 'not shown'}"
        return "confirmed" if gain.confirmed(summary.alpha) else "the opposite" if stands else "not shown"
    return gain.contrast.verdict if gain.contrast.verdict != NOT_SHOWN else "not shown"


def _drift(summary: StudySummary, task: str, key: Key) -> Shown:
    """Return how far floor and ceiling moved, with a mark where it is far."""
    found = summary.drifts.get((task, key))
    if found is None:
        return Shown(NOTHING)
    floor, ceiling = change(found.floor), change(found.ceiling)
    far = "" if found.near() else " !"
    return Shown(f"{floor.main} / {ceiling.main}{far}", "", f"floor {floor}, ceiling {ceiling}")


def results_sheet(summary: StudySummary, readout: str, setting: str = "one-word") -> Sheet | None:
    """Return the arms of the answer in practised styles, beside what they went on from and the control."""
    rows: list[list[Shown | str]] = []
    for task, found in summary.tasks.items():
        names = beside(summary, task)
        for cell in found.cells:
            place = (cell.key.setting, cell.key.readout, cell.key.operator)
            if cell.key.arm in names and place == (setting, readout, summary.operator):
                rows.append(_result_row(summary, task, cell))
    rows.sort(key=lambda row: list(summary.tasks).index(str(row[0])))
    header = (
        "task", "style", "arm", "n", "valid", "hit", "floor", "ceiling", "excess", "score", "score, can flip",
        "start-graded", "floor / ceiling",
    )  # fmt: skip
    note = (
        "Hit: the answer changes when the explanation is carried out; invalid is a miss. Floor: hits of a random word. "
        "Ceiling: any word hits. Excess: hit minus floor. Score: excess as a share of what the best word could do. Can "
        "flip: on texts that can flip in this arm and in the start arm. Start-graded: the named words' excess in the "
        "start arm. Floor / ceiling: their change against the start arm; ! more than 5 points. n: texts x seeds."
    )
    return sheet(f"{setting}, {readout}", header, rows, note, texts=3) if rows else None


def beside(summary: StudySummary, task: str) -> set[str]:
    """Return the arms of the answer that practised on a task, their controls, and what they went on from."""
    mine = [arm for arm in main_arms(summary) if task in arm.tasks]
    controls = [control for arm in mine if (control := summary.study.control(arm)) is not None]
    return {"base", "adapted", *(arm.name for arm in (*mine, *controls))} if mine else set()


def _result_row(summary: StudySummary, task: str, cell: Cell) -> list[Shown | str]:
    valid = estimate(cell.validity) if cell.key.readout == "generated" else Shown(NOTHING)
    return [
        task,
        cell.key.style,
        cell.key.arm,
        str(cell.rows),
        valid,
        estimate(cell.hit),
        Shown(number(cell.floor.value)),
        Shown(number(cell.ceiling.value)),
        estimate(cell.excess),
        estimate(cell.score),
        estimate(cell.score_flippable),
        estimate(cell.start_graded),
        _drift(summary, task, cell.key),
    ]


def bars_sheet(summary: StudySummary) -> Sheet | None:
    """Return the bars that the plan set, and by how much each is missed."""
    found = check(summary)
    rows: list[list[Shown | str]] = []
    for one in found:
        tried = one.tried or "nothing" * (one.state == "missed")
        rows.append([one.what, one.where, *map(Shown, (one.found, one.state, one.by, tried))])
    met = sum(one.state == "met" for one in found)
    left = sum(one.state == "open" for one in found)
    note = f"{met} of {len(found)} met" + (f", {left} not decided yet." if left else ".")
    note += (
        " A score, and floor and ceiling, are judged by their point estimates. Tried: what the variants "
        "of the arm came to under the seeds that they have (score: against the arm itself under these seeds)."
    )
    header = ("bar", "where", "found", "state", "missed by", "tried")
    return sheet("Bars", header, rows, note, texts=6) if rows else None


def graded_sheet(summary: StudySummary) -> Sheet | None:
    """Return the named words graded by the current model and by the start model, every trained arm on its tasks."""
    rows: list[list[Shown | str]] = []
    for task, found in summary.tasks.items():
        for cell in found.cells:
            arm = summary.study.arm(cell.key.arm)
            place = (cell.key.setting, cell.key.readout, cell.key.operator)
            trained = task in arm.tasks and cell.key.style in arm.styles
            if place == ("one-word", "constrained", summary.operator) and trained and cell.start_graded.n:
                both = [estimate(cell.excess), estimate(cell.start_graded)]
                moved = _drift(summary, task, cell.key)
                rows.append([task, cell.key.style, arm.name, str(cell.rows), *both, moved])
    header = ("task", "style", "arm", "n", "excess, current", "excess, start-graded", "floor / ceiling")
    note = (
        "One-word, constrained. Current: the word is taken out and the arm itself is asked again. Start-graded: the "
        "same word, in the table of the start arm of the same seed. Words that only the current model obeys "
        "are explanations of a model that changed; words that both obey were there before the training. "
        "Counterfactuals: the same edit in the start arm, where it was to bring the same label about."
    )
    return sheet("Current and start model", header, rows, note, texts=3) if rows else None


def ablation_sheet(summary: StudySummary) -> Sheet | None:
    """Return every variant against the arm that it varies."""
    rows: list[list[Shown | str]] = []
    for one in ablations_of(summary):
        generated = summary.cell(one.task, _generated(one.cell.key))
        rows.append(
            [
                one.task,
                one.arm.sort,
                told(one.arm),
                one.cell.key.style,
                str(one.difference.n),
                change(one.difference),
                p_of(one.difference, one.p_holm),
                estimate(one.cell.score),
                estimate(generated.validity) if generated else Shown(NOTHING),
                change(one.accuracy) if one.accuracy is not None else Shown(NOTHING),
                _drift(summary, one.task, one.cell.key),
            ]
        )
    header = (
        "task", "arm", "differs in", "style", "n", "difference", "p (Holm)", "score", "valid", "accuracy",
        "floor / ceiling",
    )  # fmt: skip
    note = (
        "Exploratory. Difference: mean excess of the variant minus that of the arm without variant (one-word, "
        "constrained; same texts and seeds). Holm over these lines. Valid: of its generated one-word replies. "
        "Accuracy: on the split, minus that of the arm without variant."
    )
    return sheet("Ablations", header, rows, note, texts=4) if rows else None


def _generated(key: Key) -> Key:
    return Key(key.arm, key.style, key.setting, "generated", key.operator)


def curve_sheet(summary: StudySummary) -> Sheet | None:
    """Return the learning curve in numbers."""
    points = curve_of(summary)
    rows: list[list[Shown | str]] = [
        [p.task, p.style, p.sort, str(p.rows), ", ".join(map(str, p.seeds)), str(p.excess.n), *_both(p)] for p in points
    ]
    header = ("task", "style", "arm", "training texts", "seeds", "n", "excess", "score")
    note = "Exploratory; one-word, constrained, styles that were practised, the seeds that all points have. n: texts."
    return sheet("Learning curve", header, rows, note, texts=3) if len({p.rows for p in points}) > 1 else None


def _both(point: Point) -> tuple[Shown, Shown]:
    return estimate(point.excess), estimate(point.score)


def groups_sheet(summary: StudySummary) -> Sheet | None:
    """Return hits by class, length and margin."""
    found = groups_of(summary)
    styles = list(dict.fromkeys(style for one in found for style in one.hits))
    rows: list[list[Shown | str]] = [
        [one.task, one.by, one.name, str(one.texts), *_hits(one.hits, styles), change(one.difference)] for one in found
    ]
    header = ("task", "by", "texts", "n", *(f"hit, {style}" for style in styles), "difference of excess")
    note = (
        "The arms of the answer, one-word, constrained, on the task that they practised: share of hits, in brackets "
        "the floor. Difference: of mean excess to the matched control, styles averaged within a text; exploratory and "
        "not corrected. Class is the gold label; length counts distinct words; margin is that of the start arm."
    )
    return sheet("Class, length, margin", header, rows, note, texts=3) if rows else None


def _hits(hits: Mapping[str, tuple[float, float]], styles: Sequence[str]) -> list[Shown]:
    return [Shown(number(hits[s][0]), f"({number(hits[s][1])})") if s in hits else Shown(NOTHING) for s in styles]
