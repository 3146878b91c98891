"""How far verdicts move: each cell of the headline under every variation that was computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from saywhy import stats
from saywhy.checks import REPREDICTING_CHECKS, Judged, check_of
from saywhy.records import OPERATORS, Row
from saywhy.report.arms import level_seeds, rivals, same_instrument
from saywhy.report.cells import CellKey, finding_readout
from saywhy.report.load import LoadedRun
from saywhy.stats import Difference, Interval

UNVARIED = "main"
"""The verdict as the headline has it."""
OPERATOR_PREFIX = "operator "
"""Prefix of the name of a variation that is another operator."""

CellVerdicts = Sequence[Row | Judged]


@dataclass(frozen=True, slots=True)
class VerdictMove:
    """A cell under one variation.

    Attributes:
        key: The cell of the headline.
        variation: ``main``, ``operator delete``, ``paraphrase-1``, ``unseen-wording-1``, ``noise``, ...
        n: Judged explanations (texts x seeds).
        answered: Counterfactuals left out: under the variation the named label is the answer before any edit, so an
            edit that does nothing would be a hit.
        hit: Share of faithful explanations under the variation.
        excess: Mean excess under the variation.
        effect_share: The effect share under the variation, by its own predictions.
        difference: That minus the main excess, paired by text; None for ``main``.
        agree: Share of explanations with the main verdict; None for ``main``.
        same_answers: Share of texts x seeds with the same answer before any edit; None where that was not asked again.
        over_rivals: For a faithful arm: other arm -> difference of mean excess under the variation.
        instrument: Whether it is graded by the operator with which this arm's targets were found.
    """

    key: CellKey
    variation: str
    n: int
    answered: int
    hit: Interval
    excess: Interval
    effect_share: Interval
    difference: Difference | None
    agree: Interval | None
    same_answers: Interval | None
    over_rivals: Mapping[str, Difference]
    instrument: bool


def moves_of(
    run: LoadedRun, cells: Mapping[CellKey, Sequence[Row]], keys: Sequence[CellKey], seed: int
) -> tuple[VerdictMove, ...]:
    """Return the headline's cells under every variation; nothing where there is none but the main one.

    Args:
        run: The run.
        cells: Its rows by cell.
        keys: Cells in table order; those of the headline are taken (``headline_keys``).
        seed: Seed of the resampling.
    """
    judged_by_variation: dict[tuple[CellKey, str], list[Judged]] = {}
    for judged in run.judged:
        judged_by_variation.setdefault((_cell_of(judged), judged.variation), []).append(judged)
    verdicts = {key: _verdicts_by_variation(key, cells, judged_by_variation) for key in headline_keys(keys)}
    if not any(len(by_variation) > 1 for by_variation in verdicts.values()):
        return ()
    return tuple(
        _verdict_move(run, key, variation, verdicts, seed)
        for key, by_variation in verdicts.items()
        for variation in by_variation
    )


def headline_keys(keys: Sequence[CellKey]) -> list[CellKey]:
    """Return the cells that a finding is read from: one-word, first operator, ``finding_readout``."""
    chosen = [key for key in keys if key.setting == "one-word"] or list(keys)
    if not chosen:
        return []
    chosen = [key for key in chosen if key.operator == chosen[0].operator]
    readout = finding_readout(chosen)
    return [key for key in chosen if key.readout == readout]


def _verdicts_by_variation(
    key: CellKey, cells: Mapping[CellKey, Sequence[Row]], judged: Mapping[tuple[CellKey, str], Sequence[Judged]]
) -> dict[str, CellVerdicts]:
    """Return the verdicts on one cell by variation."""
    by_variation: dict[str, CellVerdicts] = {UNVARIED: cells[key]}
    for operator in OPERATORS:
        other_key = replace(key, operator=operator)
        if operator != key.operator and other_key in cells:
            by_variation[f"{OPERATOR_PREFIX}{operator}"] = cells[other_key]
    if key.readout == "constrained" and (placebo_key := replace(key, readout="placebo")) in cells:
        by_variation["placebo-corrected"] = cells[placebo_key]
    names = sorted({name for judged_key, name in judged if judged_key == key}, key=_variation_order)
    return by_variation | {name: judged[key, name] for name in names}


def _variation_order(name: str) -> tuple[int, str]:
    order = ("paraphrase", "labels-reversed", "verbaliser", "unseen-wording", "noise")
    return next((rank for rank, prefix in enumerate(order) if name.startswith(prefix)), len(order)), name


def _cell_of(verdict: Row | Judged) -> CellKey:
    return CellKey(verdict.arm, verdict.style, verdict.setting, verdict.readout, verdict.operator)


def _unanswered(varied: CellVerdicts, main: CellVerdicts) -> CellVerdicts:
    """Leave out counterfactuals of which the named label is the answer before any edit (``VerdictMove.answered``)."""
    named = {(row.id, row.seed): row.named for row in main if isinstance(row, Row) and row.named}
    return [verdict for verdict in varied if verdict.prediction != named.get((verdict.id, verdict.seed))]


def _verdict_move(
    run: LoadedRun, key: CellKey, variation: str, verdicts: Mapping[CellKey, Mapping[str, CellVerdicts]], seed: int
) -> VerdictMove:
    main = verdicts[key][UNVARIED]
    main_by_key, all_by_key = _verdicts_by_text_seed(main), _verdicts_by_text_seed(verdicts[key][variation])
    shared = [at for at in all_by_key if at in main_by_key]
    same_answers = [all_by_key[at].prediction == main_by_key[at].prediction for at in shared]
    varied = _unanswered(verdicts[key][variation], main)
    texts, varied_by_key = len({verdict.id for verdict in varied}), _verdicts_by_text_seed(varied)
    same_verdicts = [varied_by_key[at].hit == main_by_key[at].hit for at in shared if at in varied_by_key]
    asked_again = check_of(variation) in REPREDICTING_CHECKS
    differences = {}
    for rival in rivals(run.arms, key.arm):
        rival_verdicts = verdicts.get(replace(key, arm=rival), {}).get(variation)
        if rival_verdicts is not None:
            rival_main = verdicts[replace(key, arm=rival)][UNVARIED]
            left, right = level_seeds(varied, _unanswered(rival_verdicts, rival_main))
            differences[rival] = stats.paired_difference(_excess_by_text_seed(left), _excess_by_text_seed(right), seed)
    return VerdictMove(
        key=key,
        variation=variation,
        n=len(varied),
        answered=len(all_by_key) - len(varied_by_key),
        hit=stats.rate([verdict.hit for verdict in varied], texts),
        excess=stats.mean_interval(_text_means(_excess_by_text_seed(varied)), seed),
        effect_share=stats.effect_share(stats.own_effects(varied), seed),
        difference=None
        if variation == UNVARIED
        else stats.paired_difference(_excess_by_text_seed(varied), _excess_by_text_seed(main), seed),
        agree=None if variation == UNVARIED else stats.rate(same_verdicts, texts),
        same_answers=stats.rate(same_answers, len({text for text, _ in shared})) if asked_again else None,
        over_rivals=differences,
        instrument=same_instrument(run, key.arm, graded_by(variation, key)),
    )


def graded_by(variation: str, key: CellKey) -> str:
    """Return the operator of a variation of a cell: its own, unless the variation is another operator."""
    return variation.removeprefix(OPERATOR_PREFIX) if variation.startswith(OPERATOR_PREFIX) else key.operator


def _verdicts_by_text_seed(verdicts: CellVerdicts) -> dict[stats.TextSeed, Row | Judged]:
    return {(verdict.id, verdict.seed): verdict for verdict in verdicts}


def _excess_by_text_seed(verdicts: Iterable[Row | Judged]) -> dict[stats.TextSeed, float]:
    return {(verdict.id, verdict.seed): verdict.excess for verdict in verdicts}


def _text_means(values: Mapping[stats.TextSeed, float]) -> list[float]:
    """Average the seeds of each text."""
    by_text: dict[str, list[float]] = {}
    for (text, _), value in sorted(values.items()):
        by_text.setdefault(text, []).append(value)
    return [sum(seed_values) / len(seed_values) for seed_values in by_text.values()]


def unanimous_share(run: LoadedRun, key: CellKey) -> Interval | None:
    """Return how often all operators give an explanation the same verdict; None with one operator."""
    by_operator: dict[str, dict[stats.TextSeed, bool]] = {}
    for row in run.rows:
        if (row.arm, row.style, row.setting, row.readout) == (key.arm, key.style, key.setting, key.readout):
            by_operator.setdefault(row.operator, {})[row.id, row.seed] = row.hit
    if len(by_operator) < 2:
        return None
    shared = [at for at in by_operator[key.operator] if all(at in hits for hits in by_operator.values())]
    same_verdicts = [len({hits[at] for hits in by_operator.values()}) == 1 for at in shared]
    return stats.rate(same_verdicts, len({text for text, _ in shared}))


def noise_floors(run: LoadedRun) -> dict[str, tuple[int, int, float, float, int]]:
    """Return, by arm: texts, flipped answers, largest change of log-odds, of an edit's drop, flipped verdicts.

    Changes are in nats. In float32 all are rounding, and nothing flips.
    """
    rows = {(row.id, row.arm, row.seed, row.style, row.setting, row.readout, row.operator): row for row in run.rows}
    by_arm: dict[str, tuple[int, int, float, float, int]] = {}
    for arm in run.arms:
        pairs = [
            (
                judged,
                rows[judged.id, judged.arm, judged.seed, judged.style, judged.setting, judged.readout, judged.operator],
            )
            for judged in run.judged
            if judged.variation == "noise" and judged.arm == arm
        ]
        if not pairs:
            continue
        texts = {(judged.id, judged.seed): (judged, row) for judged, row in pairs}.values()
        answer_flips = sum(judged.prediction != row.prediction for judged, row in texts)
        change = max(
            abs(judged.margin - row.margin) if judged.prediction == row.prediction else judged.margin + row.margin
            for judged, row in texts
        )
        drops = [
            abs(judged.drop - row.drop) for judged, row in pairs if judged.drop is not None and row.drop is not None
        ]
        verdict_flips = sum(judged.hit != row.hit for judged, row in pairs)
        by_arm[arm] = len(texts), answer_flips, change, max(drops, default=0.0), verdict_flips
    return by_arm
