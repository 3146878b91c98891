"""Style x style and task x task: what an arm practised against what it is tested on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from saywhy.records import ALL_STYLES, STYLES, Readout, Setting
from saywhy.report.study.gains import Axis, Gain
from saywhy.report.study.load import StudyArm
from saywhy.report.study.summary import StudySummary

MATRIX_AXES: tuple[Axis, ...] = ("practised", "other style", "other task", "unseen task", "free")
"""Axes of the comparisons with the matched control that a matrix shows.

Variants that have a cell on one of them are also shown in the styles and on the tasks that they practised.
"""


@dataclass(frozen=True)
class Matrix:
    """Differences of mean excess to the matched control, practised x tested.

    Attributes:
        title: What is held fixed.
        rows: What was practised.
        columns: What is tested.
        gains: (row, column) -> the comparison; without the pairs that were not measured.
    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    gains: Mapping[tuple[str, str], Gain]


def style_matrices(summary: StudySummary, readout: Readout) -> list[Matrix]:
    """Return one matrix a task: arms that practised on this task, by styles; on this task alone if there are such.

    Tested are explanations of one word in ``readout``, and those in sentences, which are generated in any case.
    """
    gains = _matrix_gains(summary, "one-word", readout)
    if gains or readout == "generated":
        gains += _matrix_gains(summary, "sentences", "generated")
    gains = [gain for gain in gains if gain.task in gain.arm.tasks]
    of_one_task = [gain for gain in gains if len(gain.arm.tasks) == 1]
    gains = of_one_task or gains
    columns = tuple(style for style in ALL_STYLES if any(gain.key.style == style for gain in gains))
    matrices = []
    for task in summary.study.runs:
        of_task = [gain for gain in gains if gain.task == task]
        cells: dict[tuple[str, str], Gain]
        cells = {(_matrix_row_name(summary, gain.arm, of_task), gain.key.style): gain for gain in of_task}
        if cells:
            rows = tuple(sorted({row for row, _ in cells}, key=_style_order))
            matrices.append(Matrix(task, rows, columns, cells))
    return matrices


def task_matrices(summary: StudySummary, setting: Setting, readout: Readout) -> list[Matrix]:
    """Return one matrix a test style: arms of one set of styles (all, else the commonest), by practised tasks."""
    gains = _matrix_gains(summary, setting, readout)
    practised = _commonest_practice([gain.arm for gain in gains])
    tasks = (*summary.study.tasks, *summary.study.unseen)
    matrices = []
    for style in STYLES:
        style_gains = [
            gain
            for gain in gains
            if gain.key.style == style and gain.arm.practised == practised and not gain.arm.variant
        ]
        cells = {(summary.study.practised_on(gain.arm), gain.task): gain for gain in style_gains}
        columns = [task for task in summary.study.runs if any(column == task for _, column in cells)]
        if len(columns) > 1:
            rows = sorted(
                {row for row, _ in cells},
                key=lambda row: (row == "all", row.count("+"), _index_or_end(tasks, row), row),
            )
            matrices.append(Matrix(style, tuple(rows), tuple(columns), cells))
    return matrices


def _matrix_gains(summary: StudySummary, setting: Setting, readout: Readout) -> list[Gain]:
    gains = [gain for axis in MATRIX_AXES for gain in summary.of_axis(axis, setting=setting, readout=readout)]
    away = {gain.arm.name for gain in gains if gain.arm.variant}
    return gains + [
        gain for gain in summary.of_axis("variant", setting=setting, readout=readout) if gain.arm.name in away
    ]


def _matrix_row_name(summary: StudySummary, arm: StudyArm, gains: Sequence[Gain]) -> str:
    """Return what an arm practised: its styles, its variant, and its tasks where others practised these on others."""
    alike = {gain.arm.tasks for gain in gains if (gain.arm.practised, gain.arm.variant) == (arm.practised, arm.variant)}
    tasks = summary.study.practised_on(arm) if len(alike) > 1 else ""
    return ", ".join(filter(None, (arm.practised, arm.variant, tasks)))


def _commonest_practice(arms: Sequence[StudyArm]) -> str:
    """Return the practised styles that most of the arms have; ``all`` if there is such an arm."""
    count = Counter(arm.practised for arm in arms)
    return "all" if "all" in count else next((name for name, _ in count.most_common(1)), "all")


def _style_order(row: str) -> tuple[int, int, str]:
    return (row == "all", _index_or_end(ALL_STYLES, row.split("+")[0].split(",")[0]), row)


def _index_or_end(names: Sequence[str], name: str) -> int:
    return names.index(name) if name in names else len(names)
