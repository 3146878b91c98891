"""Two runs of one task, cell by cell, on the texts that both have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from saywhy import stats
from saywhy.records import SaywhyError
from saywhy.report.arms import level_seeds
from saywhy.report.cells import Key, excesses, group
from saywhy.report.format import Sheet, Shown, counted, estimate, number, p_of, sheet
from saywhy.report.load import Run
from saywhy.report.sheets import block_title
from saywhy.report.tables import markdown_table, md
from saywhy.stats import Difference


@dataclass(frozen=True, slots=True)
class Compared:
    """One cell in both runs: the paired difference of mean excess, second minus first.

    Attributes:
        key: The cell, as the second run names it.
        first: Mean excess in the first run, on the shared texts.
        second: Mean excess in the second run, on the shared texts.
        difference: Second minus first.
        p_holm: p corrected for the number of cells.
    """

    key: Key
    first: float
    second: float
    difference: Difference
    p_holm: float | None = None


def compare(a: Run, b: Run, seed: int = 0) -> tuple[Compared, ...]:
    """Compare the cells that two runs share; two audits of one arm each are compared whatever its name.

    Raises:
        SaywhyError: If the runs are of different tasks, or share no text or no cell.
    """
    _same_task(a, b)
    cells = group(a.rows)
    if len(a.arms) == len(b.arms) == 1:
        cells = {replace(key, arm=b.arms[0]): rows for key, rows in cells.items()}
    found = []
    for key, rows in sorted(group(b.rows).items(), key=lambda item: item[0].order(b.arms)):
        first, second = level_seeds(cells.get(key, []), rows)
        before, after = excesses(first), excesses(second)
        shared = before.keys() & after.keys()
        if shared:
            difference = stats.paired_difference(after, before, seed)
            means = [sum(side[k] for k in shared) / len(shared) for side in (before, after)]
            found.append(Compared(key, means[0], means[1], difference))
    if not found:
        raise SaywhyError(f"{a.folder} and {b.folder} share no text with the same arm, style and readout")
    corrected = stats.holm([c.difference.p if c.difference.p is not None else 1.0 for c in found])
    return tuple(replace(c, p_holm=p) for c, p in zip(found, corrected, strict=True))


def _same_task(a: Run, b: Run) -> None:
    for name in ("name", "labels"):
        mine, theirs = a.task.get(name), b.task.get(name)
        if mine != theirs:
            what = f"{a.folder} has task {name} {mine!r}, {b.folder} has {theirs!r}"
            raise SaywhyError(f"{what}; compare runs of one task")


def comparison_sheets(a: Run, b: Run, compared: Sequence[Compared]) -> list[Sheet]:
    """Return the comparison as one table for each setting x readout x operator."""
    header = ("style", "arm", "texts", _name(a), _name(b), "difference", "p (Holm)")
    if header[3] == header[4]:
        header = (*header[:3], "first", "second", *header[5:])
    note = f"Mean excess on the texts that both runs have; difference: {header[4]} minus {header[3]}, paired; "
    note += f"p from sign flips, in brackets corrected (Holm) for the {counted(len(compared), 'cell')} compared."
    changed = [name for name in ("prompts", "model") if a.manifest.get(name) != b.manifest.get(name)]
    note += f" The runs also differ in: {', '.join(changed)}." if changed else ""
    made: list[Sheet] = []
    for _, block in groupby(compared, key=lambda one: one.key.block):
        cells = list(block)
        made.append(sheet(block_title(cells[0].key), header, [_row(one) for one in cells], note * (not made)))
    return made


def _row(one: Compared) -> list[Shown | str]:
    p, difference = p_of(one.difference, one.p_holm), estimate(one.difference)
    head = [one.key.style, one.key.arm, str(one.difference.n)]
    return [*head, number(one.first), number(one.second), difference, p]


def _name(run: Run) -> str:
    return run.folder.resolve().name


def comparison_markdown(a: Run, b: Run, sheets: Sequence[Sheet]) -> str:
    """Return the comparison as Markdown."""
    parts = [f"# saywhy: {md(_name(a))} and {md(_name(b))}"]
    for found in sheets:
        parts += [f"## {md(found.title)}", markdown_table(found)] + [f"_{md(found.note)}_"] * bool(found.note)
    return "\n\n".join(parts) + "\n"
