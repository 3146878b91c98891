"""The answer of a study in five sentences with numbers, what was not shown and not measured included."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from saywhy.report.format import change, counted, joined, number, p_value, points, signed
from saywhy.report.study.donors import differing
from saywhy.report.study.gains import OTHERS, Gain
from saywhy.report.study.gate import instructed
from saywhy.report.study.pooled import against, pooled
from saywhy.report.study.summary import StudySummary, main_arms
from saywhy.stats import Interval


def answer(summary: StudySummary) -> list[str]:
    """Return five sentences: confirmed (self-report)? other styles? other tasks? more than one word? at what cost?"""
    return [_confirmed(summary), _styles(summary), _tasks(summary), _free(summary), _cost(summary)]


def _confirmed(summary: StudySummary) -> str:
    """Say in how many of the confirmatory cells the expected difference stands."""
    gains, absent = summary.confirmatory, summary.unmeasured
    total = len(summary.frozen)
    if not total:
        return "Nothing was named beforehand as confirmatory, so nothing on this page is confirmed."
    if not gains:
        return f"Whether the training works cannot be said yet: none of the {total} confirmatory cells is measured."
    won = [gain for gain in gains if gain.expected(summary.alpha)]
    others = [gain for gain in gains if gain not in won]
    done = f"{len(won)} of {total}" if not absent else f"{len(won)} of the {len(gains)} measured ones of {total}"
    level = f"p < {summary.alpha:g} after Holm's correction"
    told = f"Confirmed in {done} confirmatory cells ({level}): {_what(gains)}"
    if short := [gain for gain in gains if gain.lacks]:
        seeds = joined([str(seed) for seed in sorted({seed for gain in short for seed in gain.lacks})])
        told = (
            f"Not decided yet, for {len(short)} of {total} confirmatory cells lack seeds ({seeds}): so far, in "
            f"{len(won)} of the {len(gains)} that are measured ({level}), {_what(gains)}"
        )
    elif not won:
        told = f"Not confirmed in any of the {len(gains)} confirmatory cells measured: it is not shown that "
        told += _what(gains)
    told += f" ({_mean(gains)})"
    lost = _lost(others, summary.alpha, unclear=bool(won))
    return told + "".join(f"; {part}" for part in (*lost, *_imitation(summary))) + "."


def _imitation(summary: StudySummary) -> list[str]:
    """Say how the same practice with words of another origin does: is it self-report, or what is plausible?"""
    told = []
    for rival in OTHERS:
        if gains := against(summary, rival):
            told.append(f"{change(pooled(summary, gains))} ({rival}, {counted(len(gains), 'cell')})")
    if told and (among := differing(summary)) is not None:
        there = pooled(summary, against(summary, "transplant"), among)
        told[-1] = f"{told[-1][:-1]}; {change(there)} in the texts where its donor goes by another word)"
    return [f"against the same practice on words of another origin the difference is {joined(told)}"] if told else []


def _what(gains: Sequence[Gain]) -> str:
    arms, others = (list(dict.fromkeys(names)) for names in _sorts(gains))
    ways = dict.fromkeys(
        "more" if gain.frozen is None or gain.frozen.direction == "higher" else "less" for gain in gains
    )
    return (
        f"the words that {joined(arms)} names change the model's own answer {' or '.join(ways)} often, beyond a random "
        f"word of the same text, than those that its control {joined(others)} names"
    )


def _sorts(gains: Sequence[Gain]) -> tuple[list[str], list[str]]:
    return [gain.arm.sort for gain in gains], [gain.contrast.other.split(".")[0] for gain in gains]


def _mean(gains: Sequence[Gain]) -> str:
    """Say how large the difference is over all cells measured, and between which levels it is."""
    mine, others = (math.fsum(gain.levels[side] for gain in gains) / len(gains) for side in (0, 1))
    levels = f"mean excess {number(mine)} against {number(others)}"
    if len(gains) == 1:
        return f"{levels}, difference {change(gains[0].contrast.difference)}"
    mean, spread = signed(math.fsum(gain.value for gain in gains) / len(gains)), _between([g.value for g in gains])
    average = f"{mean} on average, " if spread != mean else ""
    return f"over all {len(gains)} cells measured: {levels}, difference {average}{spread}"


def _lost(others: Sequence[Gain], alpha: float, *, unclear: bool) -> list[str]:
    """Say where the opposite stands, and, with ``unclear``, where nothing is shown."""
    opposite = [gain for gain in others if gain.stands(alpha) is not None]
    open_ones = [gain for gain in others if gain not in opposite]
    said = [f"the opposite stands in {_places(opposite)}"] if opposite else []
    return said + ([f"not shown in {_places(open_ones)}"] if open_ones and unclear else [])


def _places(gains: Sequence[Gain], most: int = 4) -> str:
    """Name cells with their differences; beyond ``most`` of them, how many more."""
    shown = [f"{gain.key.style} on {gain.task} ({change(gain.contrast.difference)})" for gain in gains[:most]]
    return joined([*shown, *([f"{len(gains) - most} more"] if len(gains) > most else [])])


def _styles(summary: StudySummary) -> str:
    """Say what became of the styles that an arm did not practise."""
    gains = summary.of_axis("other style")
    if not gains:
        return "Whether it carries over to styles that were not practised was not measured."
    return _transfer(
        summary, gains, "styles that an arm did not practise", lambda g: f"{g.arm.practised} to {g.key.style}"
    )


def _tasks(summary: StudySummary) -> str:
    """Say what became of other tasks of the study, and of tasks that no arm practised."""
    parts = []
    for axis, words in (("other task", "tasks of the study that an arm did not practise"), ("unseen task", "")):
        gains = summary.of_axis(axis)
        words = words or "tasks that no arm saw"
        if gains:
            parts.append(_transfer(summary, gains, words, partial(_way, summary)))
        else:
            parts.append(f"Whether it carries over to {words} was not measured.")
    first, second = parts
    return f"{first[:-1]}; {second[:1].lower()}{second[1:]}"


def _way(summary: StudySummary, gain: Gain) -> str:
    """Return from which tasks to which, and the style."""
    return f"{summary.study.practised_on(gain.arm)} to {gain.task}, {gain.key.style}"


def _transfer(summary: StudySummary, gains: Sequence[Gain], where: str, name: Callable[[Gain], str]) -> str:
    """Say how often a difference stands, what all of them show together, and how large the largest is."""
    won = [gain for gain in gains if gain.stands() == "higher"]
    lost = [gain for gain in gains if gain.stands() == "lower"]
    best = max(gains, key=lambda gain: gain.value)
    together = pooled(summary, gains)
    top = f"largest {change(best.contrast.difference)}, {name(best)}"
    below = f", below it in {len(lost)}" if lost else ""
    frozen = sum(gain.frozen is not None for gain in gains)
    sort = "exploratory " if not frozen else "confirmatory " if frozen == len(gains) else ""
    if won:
        cells = counted(len(gains), f"{sort}cell")
        return (
            f"In {where} the excess is above the matched control's in {len(won)} of {cells}{below} (Holm over "
            f"these; mean difference {change(together)}, {top})."
        )
    highs = [gain.value if gain.contrast.difference.high is None else gain.contrast.difference.high for gain in gains]
    level = "above the matched control's"
    nowhere = f"{level} in none of {len(gains)} {sort}cells"
    nowhere = nowhere if len(gains) > 1 else f"not {level} in the one {sort}cell"
    if len(gains) > 1 and together.low is not None and together.low > 0:
        return (
            f"In {where} the excess is {nowhere} by itself{below}, but in all of them together it is (mean difference "
            f"{change(together)}, p {p_value(together.p)}, not corrected; {top})."
        )
    if len(gains) > 1 and together.high is not None and together.high < 0:
        return (
            f"In {where} the excess is {nowhere}{below}, and in all of them together it is below (mean difference "
            f"{change(together)}, p {p_value(together.p)}, not corrected; {top})."
        )
    return (
        f"No transfer to {where} is shown: the excess is {nowhere}{below} (mean difference "
        f"{change(together)}, {top}; no interval reaches above {signed(max(highs))})."
    )


def _free(summary: StudySummary) -> str:
    """Say what one-word practice does for explanations of several words, and how many of these are valid."""
    gains = summary.of_axis("free", setting="free", readout="generated")
    if not gains:
        return "Whether it carries over from one word to free explanations was not measured."
    told = _transfer(
        summary, gains, "the free setting, after practice with one word,", lambda g: f"{g.key.style}, {g.task}"
    )
    valid = [cell.validity for gain in gains if (cell := summary.cell(gain.task, gain.key)) is not None]
    return f"{told[:-1]}; {_range(valid)} of the free replies are valid."


def _range(found: Sequence[Interval]) -> str:
    values = [one.value for one in found if one.value is not None]
    low, high = (f"{100 * value:.0f} %" for value in (min(values, default=0.0), max(values, default=0.0)))
    return low if low == high else f"{low} to {high}"


def _between(values: Sequence[float], shown: Callable[[float], str] = signed) -> str:
    """Return the smallest and the largest change, or one if they read alike."""
    low, high = shown(min(values)), shown(max(values))
    return low if low == high else f"{low} to {high}"


def _cost(summary: StudySummary) -> str:
    """Say what the arms of the answer lost, whether they pass the gate, and whether they became brittle."""
    names = {arm.name for arm in main_arms(summary)}
    kept = [one for one in summary.kept if one.arm.name in names and one.gate is not None]
    if not kept:
        return "What the training cost was not measured: there are no decisions of the confirmatory arms."
    passed = [one for one in kept if one.gate is not None and one.gate.state == "passes"]
    open_ones = [one for one in kept if one.gate is not None and one.gate.state == "open"]
    changes = [one.kept.accuracy_change.value for one in kept if one.kept.accuracy_change is not None]
    known = [value for value in changes if value is not None]
    parts = [f"the gate is passed by {len(passed)} of {counted(len(kept), 'confirmatory arm')}"]
    parts += [f"cannot be told yet for {len(open_ones)}"] if open_ones else []
    failed = [one for one in kept if one.gate is not None and one.gate.state == "fails"]
    told = f"At what cost: {joined(parts)}"
    agreed = [one.kept.agreement.value for one in kept if one.kept.agreement.value is not None]
    if known:
        told += f" (accuracy {_between(known, points)} points against the start model"
        told += f", agreement with it {number(min(agreed))} or more)" if agreed else ")"
    why = "".join(f"; {one.arm.name} fails the gate: {', '.join(one.gate.reasons)}" for one in failed[:2] if one.gate)
    why += f"; so do {len(failed) - 2} more" if len(failed) > 2 else ""
    return told + _instructions(summary, names) + _brittle(summary) + why + "."


def _instructions(summary: StudySummary, names: set[str]) -> str:
    """Say what became of the loss on instruction data and of plain answers."""
    found = [one for one in instructed(summary.study, summary.seed) if one.arm.name in names]
    changes = [one.change.value for one in found if one.change is not None and one.change.value is not None]
    plain = [one.plain for one in found if one.plain.value is not None]
    before = next((one.plain for one in instructed(summary.study, summary.seed) if one.arm.name == "adapted"), None)
    start = f" (of the start model {_range([before])})" if before is not None else ""
    told = f", loss on instruction data {_between(changes)} nats a token" if changes else ""
    return told + (f", {_range(plain)} of answers to plain instructions plain{start}" if plain else "")


def _brittle(summary: StudySummary) -> str:
    """Say in how many confirmatory cells floor or ceiling left the neighbourhood of the start model's."""
    drifts = [
        drift for gain in summary.confirmatory if (drift := summary.drifts.get((gain.task, gain.key))) is not None
    ]
    if not drifts:
        return ""
    far = [drift for drift in drifts if not drift.near()]
    if not far:
        return f", floor and ceiling within 5 points of the start model's in all {len(drifts)} cells"
    worst = max((d for drift in far for d in (drift.floor.value, drift.ceiling.value) if d is not None), key=abs)
    return (
        f", but floor or ceiling moved by more than 5 points in {len(far)} of {len(drifts)} cells (most: "
        f"{signed(worst)}), so that part of the gain may be brittleness"
    )
