"""Style x style and task x task: what an arm practised against what it is tested on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from saywhy.records import STYLES
from saywhy.report.study.gains import Axis, Gain
from saywhy.report.study.load import Arm
from saywhy.report.study.summary import StudySummary

AWAY: tuple[Axis, ...] = ("practised", "other style", "other task", "unseen task", "free")
"""What a matrix shows, against the matched control; of a variant also what it practised, where it is away elsewhere."""


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


def style_matrices(summary: StudySummary, setting: str, readout: str) -> list[Matrix]:
    """Return one matrix a task: arms that practised on this task, by styles; on this task alone if there are such."""
    gains = [g for g in _shown(summary, setting, readout) if g.task in g.arm.tasks]
    alone = [g for g in gains if len(g.arm.tasks) == 1]
    gains = alone or gains
    columns = tuple(style for style in STYLES if any(gain.key.style == style for gain in gains))
    found = []
    for task in summary.study.runs:
        cells: dict[tuple[str, str], Gain]
        cells = {(_row(gain.arm), gain.key.style): gain for gain in gains if gain.task == task}
        if cells:
            rows = tuple(sorted({row for row, _ in cells}, key=_style_order))
            found.append(Matrix(task, rows, columns, cells))
    return found


def task_matrices(summary: StudySummary, setting: str, readout: str) -> list[Matrix]:
    """Return one matrix a test style: arms of one set of styles (all, else the commonest), by practised tasks."""
    gains = _shown(summary, setting, readout)
    practised = _commonest([gain.arm for gain in gains])
    tasks = (*summary.study.tasks, *summary.study.unseen)
    found = []
    for style in STYLES:
        mine = [g for g in gains if g.key.style == style and g.arm.practised == practised and not g.arm.variant]
        cells = {(summary.study.practised_on(gain.arm), gain.task): gain for gain in mine}
        columns = [task for task in summary.study.runs if any(column == task for _, column in cells)]
        if len(columns) > 1:
            rows = sorted(
                {row for row, _ in cells}, key=lambda row: (row == "all", row.count("+"), _place(tasks, row), row)
            )
            found.append(Matrix(style, tuple(rows), tuple(columns), cells))
    return found


def _shown(summary: StudySummary, setting: str, readout: str) -> list[Gain]:
    found = [g for axis in AWAY for g in summary.of_axis(axis, setting=setting, readout=readout)]
    away = {gain.arm.name for gain in found if gain.arm.variant}
    return found + [g for g in summary.of_axis("variant", setting=setting, readout=readout) if g.arm.name in away]


def _row(arm: Arm) -> str:
    return f"{arm.practised}, {arm.variant}" if arm.variant else arm.practised


def _commonest(arms: Sequence[Arm]) -> str:
    """Return the styles that most tasks were trained with; all styles if there are such arms."""
    count = Counter(arm.practised for arm in arms)
    return "all" if "all" in count else next((name for name, _ in count.most_common(1)), "all")


def _style_order(row: str) -> tuple[int, int, str]:
    return (row == "all", _place(STYLES, row.split("+")[0].split(",")[0]), row)


def _place(names: Sequence[str], one: str) -> int:
    return names.index(one) if one in names else len(names)
