"""The finding in one or two plain sentences, what is not beaten included."""

from __future__ import annotations

from saywhy.arms import kind
from saywhy.report.cells import words_of_chance
from saywhy.report.contrasts import UNCORRECTED_SUFFIX, Contrast
from saywhy.report.format import counted, estimate_text, joined, number
from saywhy.report.moves import headline_keys
from saywhy.report.summary import Cell, Summary
from saywhy.stats import LEAST_TEXTS


def headline(summary: Summary) -> str:
    """Return the result of a run in plain sentences with numbers, a loss of accuracy included."""
    cells = headline_cells(summary)
    if not cells:
        return "This run holds no explanation that was judged."
    arm = headline_arm(summary)
    arm_cells = [cell for cell in cells if cell.key.arm == arm]
    if not arm_cells:
        return f"This run holds no one-word explanation of {arm} that was judged."
    if (texts := max(cell.excess.n for cell in arm_cells)) < LEAST_TEXTS:
        return (
            f"Nothing can be said of {arm} from {counted(texts, 'text')}: at least {LEAST_TEXTS} are needed (rows=100)."
        )
    sentences = [
        _excess_sentence(summary, arm, arm_cells, cells),
        _effect_share_sentence(arm_cells),
        _contrasts_sentence(summary, arm_cells),
        _drift_sentence(summary, arm_cells),
        _training_cost_sentence(summary, arm),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def headline_cells(summary: Summary) -> list[Cell]:
    """Return the cells of the headline: one-word, first operator, the constrained readout if there is one."""
    keys = headline_keys([cell.key for cell in summary.cells])
    return [cell for cell in summary.cells if cell.key in keys]


def headline_arm(summary: Summary) -> str:
    """Return the arm that the run is about: the first faithful one, else the first of all."""
    arms = summary.run.arms
    return next((arm for arm in arms if kind(arm) == "faithful"), arms[0] if arms else "")


def _excess_sentence(summary: Summary, arm: str, arm_cells: list[Cell], cells: list[Cell]) -> str:
    """Say how large the excess is, and what it was before."""
    key = arm_cells[0].key
    details = [
        counted(max(cell.excess.n for cell in arm_cells), "text"),
        counted(max(cell.seeds for cell in arm_cells), "seed"),
        f"{key.setting}, {key.readout} readout",
    ]
    shown = [cell for cell in arm_cells if (cell.excess.low or 0.0) > 0]
    below = [cell for cell in arm_cells if (cell.excess.high or 0.0) < 0]
    unclear = [cell for cell in arm_cells if cell not in (*shown, *below)]
    chance = words_of_chance(cell.key for cell in arm_cells)
    claim = f"The words that {arm} names change its own answer more often than {chance} of the same text by"
    if all((cell.excess.value or 0.0) <= 0 for cell in arm_cells):
        claim = f"The words that {arm} names change its own answer no more often than {chance}: excess"
    elif not shown:
        claim = f"The words that {arm} names are not shown to change its own answer more often than {chance}: excess"
    else:
        details += [f"nothing is shown by {_levels(unclear)}"] * bool(unclear)
        details += [f"less often by {_levels(below)}"] * bool(below)
        arm_cells = [*shown, *unclear, *below]
    start_values = [
        number(start_cell.excess.value)
        for cell in arm_cells
        for start_cell in cells
        if start_cell.key.arm == summary.start and summary.start != arm and start_cell.key.style == cell.key.style
    ]
    start_text = f"; for {summary.start} it is {joined(start_values)}" if start_values else ""
    return f"{claim} {_levels(shown or arm_cells)} ({', '.join(details)}){start_text}."


def _levels(cells: list[Cell]) -> str:
    return joined([f"{estimate_text(cell.excess)} in {cell.key.style}" for cell in cells])


def _effect_share_sentence(arm_cells: list[Cell]) -> str:
    """Say what share of the best word's effect the named words have, by the arm itself and by the start arm."""
    parts = []
    for cell in arm_cells:
        if cell.effect_share.value is not None:
            start = cell.effect_share_start
            start_text = f" (start-graded {estimate_text(start)})" if start.value is not None else ""
            parts.append(f"{estimate_text(cell.effect_share)}{start_text} in {cell.key.style}")
    return f"Effect share, 0 for a random word and 1 for the best: {joined(parts)}." if parts else ""


def _drift_sentence(summary: Summary, arm_cells: list[Cell]) -> str:
    """Say which gains in effect share only the own tables show."""
    keys = [cell.key for cell in arm_cells]
    drifts = [contrast for contrast in summary.contrasts if contrast.key in keys and contrast.is_drift]
    gains = [f"in {contrast.key.style} over {contrast.rival}" for contrast in drifts]
    return f"Drift: the gain in effect share {joined(gains)} is not shown by the start arm's tables." * bool(gains)


def _contrasts_sentence(summary: Summary, arm_cells: list[Cell]) -> str:
    """Say which arms are beaten and which are not, with the difference."""
    styles_by_finding: dict[str, list[str]] = {}
    for cell in arm_cells:
        contrasts = [contrast for contrast in summary.contrasts if contrast.key == cell.key]
        beaten = [contrast.rival for contrast in contrasts if contrast.verdict == "higher"]
        above = [
            _uncorrected_gain_clause(contrast)
            for contrast in contrasts
            if contrast.verdict == f"higher{UNCORRECTED_SUFFIX}"
        ]
        unbeaten = [_unbeaten_clause(contrast) for contrast in contrasts if not contrast.verdict.startswith("higher")]
        gains = [f"beats {joined(beaten)}"] * bool(beaten) + above
        parts = [joined(gains)] * bool(gains) + [joined(unbeaten)] * bool(unbeaten)
        if parts:
            styles_by_finding.setdefault(" but ".join(parts), []).append(cell.key.style)
    text = "; ".join(f"in {joined(styles)} it {finding}" for finding, styles in styles_by_finding.items())
    return text[:1].upper() + text[1:] + "." * bool(text)


def _uncorrected_gain_clause(contrast: Contrast) -> str:
    reason = "not after Holm's correction" if contrast.p_holm is not None else "it is not a confirmatory comparison"
    return f"is above {contrast.rival} by {estimate_text(contrast.difference)} (by itself, {reason})"


def _unbeaten_clause(contrast: Contrast) -> str:
    difference = estimate_text(contrast.difference)
    verb = "falls below" if contrast.verdict.startswith("lower") else "does not beat"
    return f"{verb} {contrast.rival} (difference {difference})"


def _training_cost_sentence(summary: Summary, arm: str) -> str:
    """Say what the training cost in accuracy and floor; only what the intervals show."""
    retention = next((retention for retention in summary.retention if retention.arm == arm), None)
    if retention is None:
        return ""
    costs = []
    if retention.accuracy_change is not None and (retention.accuracy_change.high or 0.0) < 0:
        costs.append(f"its accuracy changed by {estimate_text(retention.accuracy_change)}")
    floor = retention.drift.get("floor")
    if floor is not None and (floor.low or 0.0) > 0:
        costs.append(f"it became easier to flip: its floor rose by {estimate_text(floor)}")
    return f"Against {summary.start}, {joined(costs)}." if costs else ""
