"""The finding in one or two plain sentences, what is not beaten included."""

from __future__ import annotations

from saywhy.arms import kind
from saywhy.report.contrasts import UNCORRECTED, Contrast
from saywhy.report.format import counted, joined, number, written
from saywhy.report.moves import headline_keys
from saywhy.report.summary import Cell, Summary


def headline(summary: Summary) -> str:
    """Return the result of a run in plain sentences with numbers; a cost in accuracy is said too."""
    cells = primary(summary)
    if not cells:
        return "This run holds no explanation that was judged."
    arm = lead(summary)
    mine = [cell for cell in cells if cell.key.arm == arm]
    if not mine:
        return f"This run holds no one-word explanation of {arm} that was judged."
    sentences = [_level(summary, arm, mine, cells), _against(summary, mine), _price(summary, arm)]
    return " ".join(sentence for sentence in sentences if sentence)


def primary(summary: Summary) -> list[Cell]:
    """Return the cells that a finding is read from: one-word, first operator, constrained if there is any."""
    wanted = headline_keys([cell.key for cell in summary.cells])
    return [cell for cell in summary.cells if cell.key in wanted]


def lead(summary: Summary) -> str:
    """Return the arm that the run is about: the first faithful one, else the first of all."""
    arms = summary.run.arms
    return next((arm for arm in arms if kind(arm) == "faithful"), arms[0] if arms else "")


def _level(summary: Summary, arm: str, mine: list[Cell], cells: list[Cell]) -> str:
    """Say how large the excess is, and what it was before."""
    key = mine[0].key
    levels = joined([f"{written(cell.excess)} in {cell.key.style}" for cell in mine])
    where = [
        counted(max(cell.excess.n for cell in mine), "text"),
        counted(max(cell.seeds for cell in mine), "seed"),
        f"{key.setting}, {key.readout} readout",
    ]
    before = [
        number(other.excess.value)
        for cell in mine
        for other in cells
        if other.key.arm == summary.start and summary.start != arm and other.key.style == cell.key.style
    ]
    began = f"; for {summary.start} it is {joined(before)}" if before else ""
    shown = [cell for cell in mine if (cell.excess.low or 0.0) > 0]
    said = f"The words that {arm} names change its own answer more often than a random word of the same text by"
    if all((cell.excess.value or 0.0) <= 0 for cell in mine):
        said = f"The words that {arm} names change its own answer no more often than a random word: excess"
    elif not shown:
        said = (
            f"The words that {arm} names are not shown to change its own answer more often than a random word: excess"
        )
    elif len(shown) < len(mine):
        unshown = joined([cell.key.style for cell in mine if cell not in shown])
        where.append(f"by its interval, nothing is shown in {unshown}")
    return f"{said} {levels} ({', '.join(where)}){began}."


def _against(summary: Summary, mine: list[Cell]) -> str:
    """Say which arms are beaten and which are not, with the difference."""
    said: dict[str, list[str]] = {}
    for cell in mine:
        contrasts = [c for c in summary.contrasts if c.key == cell.key]
        beaten = [c.other for c in contrasts if c.verdict == "higher"]
        above = [_above(c) for c in contrasts if c.verdict == f"higher{UNCORRECTED}"]
        others = [_unbeaten(c) for c in contrasts if not c.verdict.startswith("higher")]
        gains = [f"beats {joined(beaten)}"] * bool(beaten) + above
        parts = [joined(gains)] * bool(gains) + [joined(others)] * bool(others)
        if parts:
            said.setdefault(" but ".join(parts), []).append(cell.key.style)
    text = "; ".join(f"in {joined(styles)} it {found}" for found, styles in said.items())
    return text[:1].upper() + text[1:] + "." * bool(text)


def _above(contrast: Contrast) -> str:
    why = "not after Holm's correction" if contrast.p_holm is not None else "it is not a confirmatory comparison"
    return f"is above {contrast.other} by {written(contrast.difference)} (by itself, {why})"


def _unbeaten(contrast: Contrast) -> str:
    difference = written(contrast.difference)
    verb = "falls below" if contrast.verdict.startswith("lower") else "does not beat"
    return f"{verb} {contrast.other} (difference {difference})"


def _price(summary: Summary, arm: str) -> str:
    """Say what training cost: only what the intervals show."""
    found = next((kept for kept in summary.retention if kept.arm == arm), None)
    if found is None:
        return ""
    costs = []
    if found.accuracy_change is not None and (found.accuracy_change.high or 0.0) < 0:
        costs.append(f"its accuracy changed by {written(found.accuracy_change)}")
    floor = found.drift.get("floor")
    if floor is not None and (floor.low or 0.0) > 0:
        costs.append(f"it became easier to flip: its floor rose by {written(floor)}")
    return f"Against {summary.start}, {joined(costs)}." if costs else ""
