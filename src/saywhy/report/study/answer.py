"""The answer of a study in five sentences with numbers, what was not shown and not measured included."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from saywhy.arms import kind_and_variant
from saywhy.records import Setting
from saywhy.report.cells import RESULT_CONDITIONS, RESULT_READOUTS, words_of_chance
from saywhy.report.format import change_cell, counted, joined, number, p_value, signed
from saywhy.report.study.cost import cost_sentence, percent_range, range_in_words
from saywhy.report.study.donors import differing_by_task
from saywhy.report.study.gains import OTHER_TARGET_KINDS, Axis, Gain, rivals_of
from saywhy.report.study.pooled import pooled_difference, rival_gains
from saywhy.report.study.summary import StudySummary


def answer_sentences(summary: StudySummary) -> list[str]:
    """Return the five sentences: confirmed or not, other styles, other tasks, the free setting, and the cost."""
    return [
        _confirmed_sentence(summary),
        _styles_sentence(summary),
        _tasks_sentence(summary),
        _free_sentence(summary),
        cost_sentence(summary),
    ]


def _confirmed_sentence(summary: StudySummary) -> str:
    """Return the sentence on how many of the confirmatory cells show the expected difference."""
    gains, absent = summary.confirmatory, summary.unmeasured
    total = len(summary.frozen)
    if not total:
        return "Nothing was named beforehand as confirmatory, so nothing on this page is confirmed."
    if not gains:
        return f"Whether the training works cannot be said yet: none of the {total} confirmatory cells is measured."
    won = [gain for gain in gains if gain.expected(summary.alpha)]
    unconfirmed = [gain for gain in gains if gain not in won]
    share = f"{len(won)} of {total}" if not absent else f"{len(won)} of the {len(gains)} measured ones of {total}"
    level = f"p < {summary.alpha:g} after Holm's correction"
    sentence = f"Confirmed in {share} confirmatory cells ({level}): {_confirmatory_claim(gains)}"
    if incomplete := [gain for gain in gains if gain.missing_seeds]:
        seeds = joined([str(seed) for seed in sorted({seed for gain in incomplete for seed in gain.missing_seeds})])
        sentence = (
            f"Not decided yet, for {len(incomplete)} of {total} confirmatory cells lack seeds ({seeds}): so far, in "
            f"{len(won)} of the {len(gains)} that are measured ({level}), {_confirmatory_claim(gains)}"
        )
    elif not won:
        sentence = f"Not confirmed in any of the {len(gains)} confirmatory cells measured: it is not shown that "
        sentence += _confirmatory_claim(gains)
    sentence += f" ({_levels_clause(gains, summary.alpha)})"
    clauses = _unconfirmed_clauses(unconfirmed, summary.alpha, unclear=bool(won))
    return sentence + "".join(f"; {clause}" for clause in (*clauses, *_other_targets_clauses(summary))) + "."


def _other_targets_clauses(summary: StudySummary) -> list[str]:
    """Return the clause on the difference to the arms with other targets: self-report, or only plausible words?"""
    comparisons = []
    for rival in OTHER_TARGET_KINDS:
        if gains := rival_gains(summary, rival):
            comparisons.append(
                f"{change_cell(pooled_difference(summary, gains))} ({rival}, {counted(len(gains), 'cell')})"
            )
    if not comparisons:
        return []
    if (among := differing_by_task(summary)) is not None:
        difference = change_cell(pooled_difference(summary, rival_gains(summary, "transplant"), among))
        comparisons[-1] = f"{comparisons[-1][:-1]}; {difference} in the texts where its donor goes by another word)"
    return [f"against the same practice on words of another origin the difference is {joined(comparisons)}"]


def _confirmatory_claim(gains: Sequence[Gain]) -> str:
    arms, rivals = list(dict.fromkeys(gain.arm.kind_and_variant for gain in gains)), rivals_of(gains)
    directions = dict.fromkeys(
        "more" if gain.frozen is None or gain.frozen.direction == "higher" else "less" for gain in gains
    )
    control = "its control " if all(gain.axis != "other arm" for gain in gains) else ""
    return (
        f"the words that {joined(arms)} names change the model's own answer {' or '.join(directions)} often, beyond "
        f"{words_of_chance(gain.key for gain in gains)} of the same text, than those that {control}{joined(rivals)} "
        f"{'names' if len(rivals) == 1 else 'name'}"
    )


def _levels_clause(gains: Sequence[Gain], alpha: float) -> str:
    """Return excess and effect share of the cells; where they are compared with several arms, of each by itself."""
    rivals = rivals_of(gains)
    if len(rivals) == 1:
        return f"{_mean_excess_clause(gains)}{_effect_share_clause(gains)}"
    clauses = []
    for rival in rivals:
        against = [gain for gain in gains if kind_and_variant(gain.contrast.rival) == rival]
        won = sum(gain.expected(alpha) for gain in against)
        levels = f"{_mean_excess_clause(against)}{_effect_share_clause(against)}".replace("; ", ", ")
        clauses.append(f"against {rival} in {won} of {len(against)}, {levels}")
    return "; ".join(clauses)


def _mean_excess_clause(gains: Sequence[Gain]) -> str:
    """Return both arms' mean excess and their difference, averaged over all cells measured."""
    arm_excess, other_excess = (math.fsum(gain.levels[side] for gain in gains) / len(gains) for side in (0, 1))
    levels = f"mean excess {number(arm_excess)} against {number(other_excess)}"
    if len(gains) == 1:
        return f"{levels}, difference {change_cell(gains[0].contrast.difference)}"
    mean = signed(math.fsum(gain.value for gain in gains) / len(gains))
    spread = range_in_words([gain.value for gain in gains])
    average = f"{mean} on average, " if spread != mean else ""
    return f"over all {len(gains)} cells measured: {levels}, difference {average}{spread}"


def _effect_share_clause(gains: Sequence[Gain]) -> str:
    """Return the differences of effect shares, averaged over the cells in which both are known; with drift, in which.

    Empty where no cell has both.
    """
    pairs = [(gain.contrast.effect_share.value, gain.contrast.effect_share_start.value) for gain in gains]
    known = [(own, start) for own, start in pairs if own is not None and start is not None]
    if not known:
        return ""
    own_mean, start_mean = (signed(math.fsum(pair[side] for pair in known) / len(known)) for side in (0, 1))
    cells = "" if len(known) == len(gains) else f" in the {len(known)} cells where it is known"
    drifts = [gain for gain in gains if gain.contrast.is_drift]
    drift = f", shown by the own tables only (drift) in {_cell_names(drifts)}" if drifts else ""
    return f"; effect share {own_mean}{cells}, graded by the start model {start_mean}{drift}"


def _unconfirmed_clauses(gains: Sequence[Gain], alpha: float, *, unclear: bool) -> list[str]:
    """Return the clauses on cells where the opposite stands and, with ``unclear``, on those where nothing is shown."""
    opposite = [gain for gain in gains if gain.stands(alpha) is not None]
    undecided = [gain for gain in gains if gain not in opposite]
    clauses = [f"the opposite stands in {_cells_with_differences(opposite)}"] if opposite else []
    return clauses + ([f"not shown in {_cells_with_differences(undecided)}"] if undecided and unclear else [])


def _cells_with_differences(gains: Sequence[Gain], most: int = 4) -> str:
    """Name cells with their differences; beyond ``most`` of them, how many more."""
    several = len(rivals_of(gains)) > 1
    cells = [
        f"{gain.arm.asked_for(gain.key.style)} on {gain.task}"
        f"{f' against {kind_and_variant(gain.contrast.rival)}' * several} ({change_cell(gain.contrast.difference)})"
        for gain in gains[:most]
    ]
    return joined([*cells, *([f"{len(gains) - most} more"] if len(gains) > most else [])])


def _cell_names(gains: Sequence[Gain]) -> str:
    return joined([f"{gain.arm.asked_for(gain.key.style)} on {gain.task}" for gain in gains])


def _styles_sentence(summary: StudySummary) -> str:
    """Return the sentence on transfer to styles that an arm did not practise."""
    what = {"one-word": "styles", "free": "free explanations in styles", "sentences": "sentences"}
    parts = [
        _transfer_sentence(
            summary,
            gains,
            f"{what[setting]} that an arm did not practise{note}",
            lambda gain: gain.arm.asked_for(gain.key.style),
        )
        for setting, note, gains in _compared_in(summary, "other style")
    ]
    if not parts:
        return "Whether it carries over to styles that were not practised was not measured."
    return " ".join(parts)


def _compared_in(summary: StudySummary, axis: Axis) -> list[tuple[Setting, str, list[Gain]]]:
    """Return the comparisons about one thing in each setting that has any, of one word in the first readout with some.

    Beside them stands, for the sentence, which readout that is, unless it is the usual one.
    """
    compared: dict[Setting, tuple[str, list[Gain]]] = {}
    for setting, readout in RESULT_CONDITIONS:
        if setting not in compared and (gains := summary.of_axis(axis, setting=setting, readout=readout)):
            usual = readout == RESULT_READOUTS[0] or setting != "one-word"
            compared[setting] = ("" if usual else f" ({readout} replies)", gains)
    return [(setting, note, gains) for setting, (note, gains) in compared.items()]


def _tasks_sentence(summary: StudySummary) -> str:
    """Return the sentence on transfer to other tasks of the study, and to tasks that no arm practised."""
    where: dict[Axis, str] = {
        "other task": "tasks of the study that an arm did not practise",
        "unseen task": "tasks that no arm saw",
    }
    what = {"one-word": "", "free": "free explanations on ", "sentences": "sentences on "}
    parts = []
    for axis, tasks in where.items():
        compared = _compared_in(summary, axis)
        name = partial(_task_transfer_name, summary)
        parts += [
            _transfer_sentence(summary, gains, f"{what[setting]}{tasks}{note}", name)
            for setting, note, gains in compared
        ] or [f"Whether it carries over to {tasks} was not measured."]
    first, *others = parts
    return "; ".join([first[:-1], *(f"{part[:1].lower()}{part[1:-1]}" for part in others)]) + "."


def _task_transfer_name(summary: StudySummary, gain: Gain) -> str:
    """Return the practised tasks, the test task and the style of a comparison."""
    return f"{summary.study.practised_on(gain.arm)} to {gain.task}, {gain.key.style}"


def _transfer_sentence(summary: StudySummary, gains: Sequence[Gain], where: str, name: Callable[[Gain], str]) -> str:
    """Return the sentence on one kind of comparison: differences that stand, their mean, and the largest.

    Args:
        summary: The study.
        gains: The comparisons; Holm's correction is over these.
        where: What the cells are, in words.
        name: Returns the name of a comparison in the sentence.
    """
    won = [gain for gain in gains if gain.stands() == "higher"]
    lost = [gain for gain in gains if gain.stands() == "lower"]
    best = max(gains, key=lambda gain: gain.value)
    overall = pooled_difference(summary, gains)
    top = f"largest {change_cell(best.contrast.difference)}, {name(best)}"
    below = f", below it in {len(lost)}" if lost else ""
    frozen_count = sum(gain.frozen is not None for gain in gains)
    status = "exploratory " if not frozen_count else "confirmatory " if frozen_count == len(gains) else ""
    family = {"exploratory ": "Holm over these", "confirmatory ": "Holm over the confirmatory cells"}
    if won:
        cells = counted(len(gains), f"{status}cell")
        return (
            f"In {where} the excess is above the matched control's in {len(won)} of {cells}{below} "
            f"({family.get(status, 'Holm in their families')}; mean difference {change_cell(overall)}, {top})."
        )
    highs = [gain.value if gain.contrast.difference.high is None else gain.contrast.difference.high for gain in gains]
    level = "above the matched control's"
    nowhere = f"{level} in none of {len(gains)} {status}cells"
    nowhere = nowhere if len(gains) > 1 else f"not {level} in the one {status}cell"
    if len(gains) > 1 and overall.low is not None and overall.low > 0:
        return (
            f"In {where} the excess is {nowhere} by itself{below}, but in all of them together it is (mean difference "
            f"{change_cell(overall)}, p {p_value(overall.p)}, not corrected; {top})."
        )
    if len(gains) > 1 and overall.high is not None and overall.high < 0:
        return (
            f"In {where} the excess is {nowhere}{below}, and in all of them together it is below (mean difference "
            f"{change_cell(overall)}, p {p_value(overall.p)}, not corrected; {top})."
        )
    return (
        f"No transfer to {where} is shown: the excess is {nowhere}{below} (mean difference "
        f"{change_cell(overall)}, {top}; no interval reaches above {signed(max(highs))})."
    )


def _free_sentence(summary: StudySummary) -> str:
    """Return the sentence on transfer from one-word practice to the free setting, with the validity of the replies."""
    gains = summary.of_axis("free", setting="free")
    if not gains:
        return "Whether it carries over from one word to free explanations was not measured."
    sentence = _transfer_sentence(
        summary, gains, "the free setting, after practice with one word,", lambda gain: f"{gain.key.style}, {gain.task}"
    )
    validities = [cell.validity for gain in gains if (cell := summary.cell(gain.task, gain.key)) is not None]
    return f"{sentence[:-1]}; {percent_range(validities)} of the free replies are valid."
