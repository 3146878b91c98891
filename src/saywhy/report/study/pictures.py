"""Which pictures a study's report has, with captions that say n, seeds and interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from saywhy.arms import kind_and_variant
from saywhy.records import SENTENCE_STYLES, STYLES
from saywhy.report.cells import RESULT_READOUTS
from saywhy.report.format import counted, joined
from saywhy.report.load import Loss
from saywhy.report.losses import LOSSES_CAPTION, draw_losses
from saywhy.report.plots import PicturePlan, draw_validity
from saywhy.report.study.ablations import Ablation, ablations_of, variant_settings
from saywhy.report.study.draw import (
    INTERVAL_NOTE,
    EstimateDot,
    EstimateLine,
    EstimatePanel,
    curve_pictures,
    draw_panels,
)
from saywhy.report.study.frozen import accepted_losses
from saywhy.report.study.gains import Gain, rivals_of
from saywhy.report.study.groups import groups_of
from saywhy.report.study.heat import MATRIX_LEGEND, draw_matrices, texts_and_seeds_behind
from saywhy.report.study.matrices import Matrix, style_matrices, task_matrices
from saywhy.report.study.sheets import compared_arms
from saywhy.report.study.summary import StudySummary, is_finding, main_arms
from saywhy.stats import Interval

GAIN_LABEL = "difference of mean excess to the matched control"
OTHER_GAIN_LABEL = "difference of mean excess to the other arm"


def study_picture_plans(summary: StudySummary) -> list[PicturePlan]:
    """Return every picture for which the study has data."""
    return [
        *_confirmatory_picture(summary),
        *_matrix_pictures(summary),
        *_free_picture(summary),
        *_graded_picture(summary),
        *curve_pictures(summary),
        *_ablations_picture(summary),
        *_retention_pictures(summary),
        *_losses_picture(summary),
        *_groups_pictures(summary),
        *_replies_pictures(summary),
    ]


def counts_behind_gains(gains: Sequence[Gain]) -> str:
    """Say how many texts and seeds are behind comparisons."""
    return texts_and_seeds_behind([Matrix("", (), (), {(str(at), ""): gain for at, gain in enumerate(gains)})])


def _gain_lines(gains: Sequence[Gain], name: str = "") -> list[EstimateLine]:
    """Return a line a comparison, with a heading a task; ticks are the single seeds."""
    lines: list[EstimateLine] = []
    several = len(rivals_of(gains)) > 1
    for task in dict.fromkeys(gain.task for gain in gains):
        lines.append(EstimateLine(task))
        for gain in gains:
            if gain.task == task:
                difference = gain.contrast.difference
                line = gain.arm.asked_for(gain.key.style)
                line += f", against {kind_and_variant(gain.contrast.rival)}" * several
                dot = EstimateDot(difference, ticks=tuple(difference.seeds.values()), label=name)
                lines.append(EstimateLine(line, (dot,)))
    return lines


def _confirmatory_picture(summary: StudySummary) -> list[PicturePlan]:
    gains = summary.confirmatory
    if not gains:
        return []
    several = any(len(gain.contrast.difference.seeds) > 1 for gain in gains)
    settings = dict.fromkeys(gain.key.setting for gain in gains)
    against_controls = all(gain.axis != "other arm" for gain in gains)
    label, other = (GAIN_LABEL, "control") if against_controls else (OTHER_GAIN_LABEL, "other")
    caption = (
        f"The confirmatory cells: {label}, {joined(list(settings))}. {INTERVAL_NOTE}; "
        f"{'ticks are the single seeds; ' if several else ''}0: no more than the {other}. {counts_behind_gains(gains)}"
    )
    draw = partial(draw_panels, EstimatePanel(_gain_lines(gains), label))
    return [PicturePlan("confirmatory", f"Above the {other}, cell by cell", caption, draw)]


def _matrix_pictures(summary: StudySummary) -> list[PicturePlan]:
    plans = []
    for readout in RESULT_READOUTS:
        for name, matrices, down, across in (
            ("styles", style_matrices(summary, readout), "practised style", "tested style"),
            ("tasks", task_matrices(summary, "one-word", readout), "practised task", "tested task"),
        ):
            if matrices:
                title = f"{'Style x style' if name == 'styles' else 'Task x task'}, {readout} readout"
                in_sentences = any(column in SENTENCE_STYLES for matrix in matrices for column in matrix.columns)
                asked = f"One-word, {readout}{'; sentences, generated' if in_sentences else ''}."
                caption = f"{MATRIX_LEGEND} {asked} {texts_and_seeds_behind(matrices)}"
                draw = partial(draw_matrices, summary, matrices, down, across)
                plans.append(PicturePlan(f"{name}-{readout}", title, caption, draw))
    return plans


def _free_picture(summary: StudySummary) -> list[PicturePlan]:
    free = summary.of_axis("free", setting="free")
    if not free:
        return []
    lines: list[EstimateLine] = []
    for task in dict.fromkeys(gain.task for gain in free):
        lines.append(EstimateLine(task))
        for gain in free:
            if gain.task == task:
                word_gains = [twin for twin in summary.gains if _is_word_twin(twin, gain)]
                dots = [EstimateDot(twin.contrast.difference, label="one-word, generated") for twin in word_gains[:1]]
                dots.append(EstimateDot(gain.contrast.difference, "adapted", True, label="free, generated"))
                name = gain.key.style + (f" ({gain.arm.practised})" if gain.arm.practised != "all" else "")
                lines.append(EstimateLine(name, tuple(dots)))
    caption = (
        f"Arms that practised one-word explanations, asked for one word and for as many as they like: {GAIN_LABEL}; "
        "replies as users see them, an invalid one is a miss. "
        f"{INTERVAL_NOTE}. Free: exploratory. {counts_behind_gains(free)}"
    )
    draw = partial(draw_panels, EstimatePanel(lines, GAIN_LABEL))
    return [PicturePlan("free", "From one word to free explanations", caption, draw)]


def _is_word_twin(gain: Gain, free: Gain) -> bool:
    """Whether ``gain`` compares the generated one-word replies of the cell in which ``free`` compares free ones."""
    same = (gain.task, gain.arm, gain.key.style, gain.contrast.rival, gain.key.operator)
    return same == (free.task, free.arm, free.key.style, free.contrast.rival, free.key.operator) and (
        gain.key.setting,
        gain.key.readout,
    ) == ("one-word", "generated")


def _graded_picture(summary: StudySummary) -> list[PicturePlan]:
    lines: list[EstimateLine] = []
    most_texts = 0
    for task, run_summary in summary.tasks.items():
        arms = compared_arms(summary, task) - {"base", "adapted"}
        cells = [
            cell
            for cell in run_summary.cells
            if cell.key.arm in arms and cell.start_graded.n and is_finding(summary, cell.key)
        ]
        lines += [EstimateLine(task)] if cells else []
        for cell in cells:
            kind = summary.study.arm(cell.key.arm).kind
            current = EstimateDot(cell.excess, kind, label=f"{kind}, by the current model")
            started = EstimateDot(cell.start_graded, kind, True, label=f"{kind}, by the start model")
            lines.append(EstimateLine(f"{cell.key.style}, {kind}", (current, started)))
            most_texts = max(most_texts, cell.excess.n)
    if not lines:
        return []
    caption = (
        "Excess of the named words in the arm itself (filled) and as looked up in the start arm's tables (hollow); "
        f"one-word, {summary.readout}. {INTERVAL_NOTE}. Up to {most_texts} texts."
    )
    draw = partial(draw_panels, EstimatePanel(lines, "mean excess"))
    return [PicturePlan("graded", "By the current and by the start model", caption, draw)]


def _ablations_picture(summary: StudySummary) -> list[PicturePlan]:
    ablations = ablations_of(summary)
    if not ablations:
        return []
    styles = [style for style in STYLES if any(ablation.cell.key.style == style for ablation in ablations)]
    label = "mean excess minus that of the plain arm"
    panels = [EstimatePanel(_variant_lines(ablations, style), label, title=style) for style in styles]
    caption = (
        "What each change of the recipe does: mean excess of the variant minus that of the arm without variant, "
        f"one-word, {summary.readout}. {INTERVAL_NOTE}; exploratory. "
        f"{max(ablation.difference.n for ablation in ablations)} texts. "
        f"{_most_seeds(len(ablation.difference.seeds) for ablation in ablations)}."
    )
    return [PicturePlan("ablations", "Ablations", caption, partial(draw_panels, *panels))]


def _variant_lines(ablations: Sequence[Ablation], style: str) -> list[EstimateLine]:
    """Return a line a variant, with a heading a task; all styles have the same lines."""
    lines: list[EstimateLine] = []
    for task in dict.fromkeys(ablation.task for ablation in ablations):
        lines.append(EstimateLine(task))
        for arm in {ablation.arm.name: ablation.arm for ablation in ablations if ablation.task == task}.values():
            dots = [
                EstimateDot(ablation.difference)
                for ablation in ablations
                if (ablation.task, ablation.arm, ablation.cell.key.style) == (task, arm, style)
            ]
            lines.append(EstimateLine(arm.variant + f" ({variant_settings(arm)})" * bool(arm.settings), tuple(dots)))
    return lines


def _most_seeds(seed_counts: Iterable[int]) -> str:
    return "Up to " + counted(max(seed_counts, default=0), "seed")


def _retention_pictures(summary: StudySummary) -> list[PicturePlan]:
    """Draw accuracy and agreement of the arms that practised on a task, a picture a task."""
    accuracy_loss, plans = accepted_losses(summary.study)[0], []
    for task in summary.tasks:
        kept_on_task = [
            arm_kept
            for arm_kept in summary.kept
            if arm_kept.task == task and (arm_kept.gate is not None or arm_kept.arm.name == "base")
        ]
        shown = [arm_kept for arm_kept in kept_on_task if arm_kept.kept.accuracy_change is not None]
        if not any(arm_kept.gate for arm_kept in shown):
            continue
        names = [
            arm_kept.arm.name + " (fails)" * (arm_kept.gate is not None and arm_kept.gate.state == "fails")
            for arm_kept in shown
        ]
        change_lines = [
            EstimateLine(name, (EstimateDot(arm_kept.kept.accuracy_change or NO_INTERVAL, arm_kept.arm.kind),))
            for name, arm_kept in zip(names, shown, strict=True)
        ]
        agreement_lines = [
            EstimateLine(name, (EstimateDot(arm_kept.kept.agreement, arm_kept.arm.kind),))
            for name, arm_kept in zip(names, shown, strict=True)
        ]
        yardstick = shown[0].yardstick.value if shown[0].yardstick is not None else None
        split = (summary.study.runs[task].manifest.get("config") or {}).get("split", "test")
        seed_counts = [len(arm_kept.kept.accuracy_change.seeds) for arm_kept in shown if arm_kept.kept.accuracy_change]
        caption = (
            f"Arms that practised on {task}, on {shown[0].kept.accuracy.n} texts of its {split} split; those that fail "
            f"the gate are named so. {INTERVAL_NOTE}. "
            "Left, against the start arm; dotted: the most that may be lost. Right, labels equal to the start arm's"
            f"{'; the upright line is the agreement of two seeds of the start arm' if yardstick is not None else ''}. "
            f"{_most_seeds(seed_counts)}."
        )
        panels = (
            EstimatePanel(change_lines, "change of accuracy", (0.0, -accuracy_loss)),
            EstimatePanel(
                agreement_lines, "agreement with the start arm", (yardstick,) if yardstick is not None else ()
            ),
        )
        plans.append(PicturePlan(f"retention-{task}", f"What was kept, {task}", caption, partial(draw_panels, *panels)))
    return plans


def _losses_picture(summary: StudySummary) -> list[PicturePlan]:
    """Draw the loss of practice, a panel for arms that practised the same, every seed a line."""
    panels: dict[str, list[tuple[str, Sequence[Loss]]]] = {}
    for (_, name), losses in summary.study.losses.items():
        arm = summary.study.arm(name)
        variant = f" ({arm.variant})" * bool(arm.variant)
        title = f"{arm.practised}, {summary.study.practised_on(arm)}{variant}" if arm.styles else name
        panels.setdefault(title, []).append((arm.kind, losses))
    caption = f"{LOSSES_CAPTION} {_most_seeds([len({seed for seed, _ in summary.study.losses})])}, a line each."
    plans = [PicturePlan("losses", "Loss of practice", caption, partial(draw_losses, panels))]
    return plans if panels else []


NO_INTERVAL = Interval(None, None, None, 0)


def _groups_pictures(summary: StudySummary) -> list[PicturePlan]:
    groups, plans = groups_of(summary), []
    for task in dict.fromkeys(group.task for group in groups):
        lines: list[EstimateLine] = []
        for by in dict.fromkeys(group.grouping for group in groups if group.task == task):
            lines.append(EstimateLine(f"by {by}"))
            cut_groups = [group for group in groups if (group.task, group.grouping) == (task, by)]
            lines += [
                EstimateLine(f"{group.name} (n {group.texts})", (EstimateDot(group.difference),))
                for group in cut_groups
            ]
        caption = (
            f"For whom it works, {task}: {GAIN_LABEL} in groups of texts, practised styles averaged within a text, "
            f"one-word, {summary.readout}. {INTERVAL_NOTE}; exploratory, not corrected."
        )
        draw = partial(draw_panels, EstimatePanel(lines, GAIN_LABEL))
        plans.append(PicturePlan(f"groups-{task}", f"Class, length, margin: {task}", caption, draw))
    return plans


def _replies_pictures(summary: StudySummary) -> list[PicturePlan]:
    plans = []
    for task, run_summary in summary.tasks.items():
        arms = compared_arms(summary, task) or {arm.name for arm in main_arms(summary)}
        cells = [
            cell
            for cell in run_summary.cells
            if cell.key.readout == "generated" and cell.key.operator == summary.operator and cell.key.arm in arms
        ]
        if cells:
            caption = (
                "What became of generated replies: faithful, valid but not faithful, and why the rest is invalid. "
                f"Shares of {max(cell.rows for cell in cells)} replies (texts x seeds) at most."
            )
            draw = partial(draw_validity, run_summary, cells)
            plans.append(PicturePlan(f"replies-{task}", f"What became of generated replies, {task}", caption, draw))
    return plans
