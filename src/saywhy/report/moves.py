"""How far the verdicts move: each cell of the headline under every variation that was computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from saywhy import stats
from saywhy.checks import Judged
from saywhy.records import OPERATORS, Row
from saywhy.report.arms import level_seeds, rivals, same_instrument
from saywhy.report.cells import Key
from saywhy.report.load import Run
from saywhy.stats import Difference, Interval

MAIN = "main"
"""The verdict as the headline has it."""
OTHER = "operator "
"""What a variation begins with that is another operator."""

Verdicts = Sequence[Row | Judged]


@dataclass(frozen=True, slots=True)
class Move:
    """A cell under one variation.

    Attributes:
        key: The cell of the headline.
        variation: ``main``, ``operator delete``, ``paraphrase-1``, ``noise``, ...
        n: Judged explanations (texts x seeds).
        hit: Share of faithful explanations under the variation.
        excess: Mean excess under the variation.
        difference: That minus the main excess, on the same texts; None for ``main``.
        agree: Share of explanations whose verdict is the main one; None for ``main``.
        answers: Share of texts x seeds with the same answer before any edit; None where nothing was asked again.
        over: For a faithful arm: other arm -> difference of mean excess under the variation.
        instrument: Whether it is graded by the operator with which this arm's targets were found.
    """

    key: Key
    variation: str
    n: int
    hit: Interval
    excess: Interval
    difference: Difference | None
    agree: Interval | None
    answers: Interval | None
    over: Mapping[str, Difference]
    instrument: bool

    @property
    def operator(self) -> str:
        """The operator with which it is graded."""
        return graded_by(self.variation, self.key)


def moves_of(run: Run, cells: Mapping[Key, Sequence[Row]], keys: Sequence[Key], seed: int) -> tuple[Move, ...]:
    """Return the headline's cells under every variation; nothing where there is none but the main one.

    Args:
        run: The run.
        cells: Its rows by cell.
        keys: Cells in table order; those of the headline are taken (``headline_keys``).
        seed: Seed of the resampling.
    """
    again: dict[tuple[Key, str], list[Judged]] = {}
    for one in run.judged:
        key = Key(one.arm, one.style, one.setting, one.readout, one.operator)
        again.setdefault((key, one.variation), []).append(one)
    under = {key: _under(key, cells, again) for key in headline_keys(keys)}
    if not any(len(mine) > 1 for mine in under.values()):
        return ()
    return tuple(_move(run, key, variation, under, seed) for key, mine in under.items() for variation in mine)


def headline_keys(keys: Sequence[Key]) -> list[Key]:
    """Return the cells that a finding is read from: one-word, first operator, constrained if there is any."""
    found = [key for key in keys if key.setting == "one-word"] or list(keys)
    if not found:
        return []
    found = [key for key in found if key.operator == found[0].operator]
    readout = "constrained" if any(key.readout == "constrained" for key in found) else "generated"
    return [key for key in found if key.readout == readout]


def _under(
    key: Key, cells: Mapping[Key, Sequence[Row]], again: Mapping[tuple[Key, str], Sequence[Judged]]
) -> dict[str, Verdicts]:
    """Return the verdicts on one cell by variation."""
    found: dict[str, Verdicts] = {MAIN: cells[key]}
    for operator in OPERATORS:
        other = replace(key, operator=operator)
        if operator != key.operator and other in cells:
            found[f"{OTHER}{operator}"] = cells[other]
    if key.readout == "constrained" and (blind := replace(key, readout="placebo")) in cells:
        found["placebo-corrected"] = cells[blind]
    names = sorted({name for other, name in again if other == key}, key=_place)
    return found | {name: again[key, name] for name in names}


def _place(name: str) -> tuple[int, str]:
    order = ("paraphrase", "labels-reversed", "verbaliser", "noise")
    return next((at for at, start in enumerate(order) if name.startswith(start)), len(order)), name


def _move(run: Run, key: Key, variation: str, under: Mapping[Key, Mapping[str, Verdicts]], seed: int) -> Move:
    here, main = under[key][variation], under[key][MAIN]
    texts, now, before = len({one.id for one in here}), _by(here), _by(main)
    shared = [at for at in now if at in before]
    same = [now[at].hit == before[at].hit for at in shared]
    asked = variation != MAIN and all(isinstance(one, Judged) for one in here)
    beaten = {}
    for other in rivals(run.arms, key.arm):
        theirs = under.get(replace(key, arm=other), {}).get(variation)
        if theirs is not None:
            left, right = level_seeds(here, theirs)
            beaten[other] = stats.paired_difference(_excess(left), _excess(right), seed)
    return Move(
        key=key,
        variation=variation,
        n=len(here),
        hit=stats.rate([one.hit for one in here], texts),
        excess=stats.mean_interval(_means(_excess(here)), seed),
        difference=None if variation == MAIN else stats.paired_difference(_excess(here), _excess(main), seed),
        agree=None if variation == MAIN else stats.rate(same, texts),
        answers=stats.rate([now[at].prediction == before[at].prediction for at in shared], texts) if asked else None,
        over=beaten,
        instrument=same_instrument(run, key.arm, graded_by(variation, key)),
    )


def graded_by(variation: str, key: Key) -> str:
    """Return the operator of a variation of a cell: its own, unless the variation is another operator."""
    return variation.removeprefix(OTHER) if variation.startswith(OTHER) else key.operator


def _by(some: Verdicts) -> dict[stats.Key, Row | Judged]:
    return {(one.id, one.seed): one for one in some}


def _excess(some: Iterable[Row | Judged]) -> dict[stats.Key, float]:
    return {(one.id, one.seed): one.excess for one in some}


def _means(values: Mapping[stats.Key, float]) -> list[float]:
    """Average the seeds of each text."""
    found: dict[str, list[float]] = {}
    for (text, _), value in sorted(values.items()):
        found.setdefault(text, []).append(value)
    return [sum(each) / len(each) for each in found.values()]


def unanimous(run: Run, key: Key) -> Interval | None:
    """Return how often all operators give an explanation the same verdict; None with one operator."""
    per: dict[str, dict[stats.Key, bool]] = {}
    for row in run.rows:
        if (row.arm, row.style, row.setting, row.readout) == (key.arm, key.style, key.setting, key.readout):
            per.setdefault(row.operator, {})[row.id, row.seed] = row.hit
    if len(per) < 2:
        return None
    shared = [at for at in per[key.operator] if all(at in other for other in per.values())]
    same = [len({other[at] for other in per.values()}) == 1 for at in shared]
    return stats.rate(same, len({text for text, _ in shared}))


def noise(run: Run) -> dict[str, tuple[int, int, float, float, int]]:
    """Return, by arm: texts, flipped answers, largest change of log-odds, of an edit's drop, flipped verdicts.

    Changes are in nats. In float32 all are rounding, and nothing flips.
    """
    rows = {(r.id, r.arm, r.seed, r.style, r.setting, r.readout, r.operator): r for r in run.rows}
    found: dict[str, tuple[int, int, float, float, int]] = {}
    for arm in run.arms:
        pairs = [
            (one, rows[one.id, one.arm, one.seed, one.style, one.setting, one.readout, one.operator])
            for one in run.judged
            if one.variation == "noise" and one.arm == arm
        ]
        if not pairs:
            continue
        texts = {(one.id, one.seed): (one, row) for one, row in pairs}.values()
        flips = sum(one.prediction != row.prediction for one, row in texts)
        change = max(
            abs(one.margin - row.margin) if one.prediction == row.prediction else one.margin + row.margin
            for one, row in texts
        )
        drops = [abs(one.drop - row.drop) for one, row in pairs if one.drop is not None and row.drop is not None]
        turned = sum(one.hit != row.hit for one, row in pairs)
        found[arm] = len(texts), flips, change, max(drops, default=0.0), turned
    return found
