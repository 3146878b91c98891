"""Contrasts: faithful arms against the arms that they are compared with, cell by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from saywhy import stats
from saywhy.arms import kind
from saywhy.records import Row
from saywhy.report.arms import StartGrader, level_seeds, rivals, start_graders
from saywhy.report.cells import CellKey, excesses, raw_hits
from saywhy.report.load import LoadedRun
from saywhy.stats import Difference, Discordant, Family, Interval, TextsNeeded

UNCLEAR = "unclear"
"""The verdict on a contrast that shows nothing: neither a gain nor a loss, nor equality."""
UNCORRECTED_SUFFIX = ", uncorrected"
"""Ends a verdict of which p is below 0.05 by itself, but not after (or without) Holm's correction."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """A faithful arm against another in one cell: the paired difference of mean excess.

    Attributes:
        key: The faithful arm's cell.
        rival: The arm that it is compared with.
        difference: Mean excess of the faithful arm minus that of the rival, same texts.
        effect_gain: Mean effect beyond a random word's (nats) of the faithful arm minus that of the rival.
        effect_share: Effect share of the faithful arm minus that of the rival, each by its own tables, same texts.
        effect_share_start: The same, both by the frozen start model.
        p_holm: p corrected for the confirmatory contrasts; None for the others.
        flippable: Scores of the two on the texts that can flip in both.
        raw: Number of texts that only the one arm hits and only the other, with McNemar's test; None without shared
            texts.
        needed: Texts that a next study needs to find a difference of this size.
    """

    key: CellKey
    rival: str
    difference: Difference
    effect_gain: Difference
    effect_share: Difference
    effect_share_start: Difference
    p_holm: float | None
    flippable: tuple[Interval, Interval]
    raw: Discordant | None
    needed: TextsNeeded

    @property
    def verdict(self) -> str:
        """``higher`` or ``lower`` if the interval excludes 0 and p < 0.05, else ``unclear``.

        ``, uncorrected`` is added where p is below 0.05 by itself but not after Holm's correction, and where the
        contrast is not confirmatory, so that nothing was corrected.
        """
        difference = self.difference
        if difference.low is None or difference.high is None or difference.p is None or difference.p >= 0.05:
            return UNCLEAR
        if difference.low <= 0 <= difference.high:
            return UNCLEAR
        sign = "higher" if difference.low > 0 else "lower"
        return sign if self.p_holm is not None and self.p_holm < 0.05 else f"{sign}{UNCORRECTED_SUFFIX}"

    @property
    def is_drift(self) -> bool:
        """Whether a gain in effect share is shown by the arms' own tables, but not by those of the start model."""
        return only_own_shown(self.effect_share, self.effect_share_start)


def only_own_shown(own: Difference, by_start: Difference) -> bool:
    """Return whether a gain in effect share is shown by the arms' own tables, but not by those of the start model.

    Shown is a gain of which the interval is above 0. Without a difference by the start model nothing is drift.
    """
    shown, shown_by_start = ((share.low or 0.0) > 0 for share in (own, by_start))
    return shown and by_start.value is not None and not shown_by_start


def contrasts_of(
    run: LoadedRun, cells: Mapping[CellKey, Sequence[Row]], keys: Sequence[CellKey], family: Family, seed: int
) -> tuple[Contrast, ...]:
    """Return the contrasts of faithful arms with their rivals; Holm's correction over those of ``family``."""
    contrasts, graders = [], start_graders(run, (key.operator for key in keys))
    for key in keys:
        for rival in rivals(run.arms, key.arm):
            if (rival_rows := cells.get(replace(key, arm=rival))) is not None:
                sides = level_seeds(cells[key], rival_rows)
                contrasts.append(contrast_of(key, rival, sides, graders[key.operator], seed))
    tested = [
        at
        for at, contrast in enumerate(contrasts)
        if family.holds(_family_fields(contrast)) and contrast.difference.p is not None
    ]
    corrected = stats.holm([contrasts[at].difference.p or 0.0 for at in tested])
    for at, p_holm in zip(tested, corrected, strict=True):
        contrasts[at] = replace(contrasts[at], p_holm=p_holm)
    return tuple(contrasts)


def contrast_of(
    key: CellKey, rival: str, sides: tuple[Sequence[Row], Sequence[Row]], grader: StartGrader, seed: int
) -> Contrast:
    """Compare a faithful arm's rows of a cell with those of ``rival``.

    Args:
        key: The faithful arm's cell.
        rival: The arm that it is compared with.
        sides: The rows of the two; both have the same seeds.
        grader: The start arm of the run, under the operator of the cell.
        seed: Seed of the resampling.
    """
    rows, rival_rows = sides
    own, by_start = ([grade(side) for side in sides] for grade in (stats.own_effects, grader.effects))
    gains = [{key: effect.gain for key, effect in effects.items()} for effects in own]
    difference = stats.paired_difference(excesses(rows), excesses(rival_rows), seed)
    return Contrast(
        key=key,
        rival=rival,
        difference=difference,
        effect_gain=stats.paired_difference(gains[0], gains[1], seed),
        effect_share=stats.effect_share_difference(own[0], own[1], seed),
        effect_share_start=stats.effect_share_difference(by_start[0], by_start[1], seed),
        p_holm=None,
        flippable=stats.score_on_flippable(rows, rival_rows, seed),
        raw=stats.discordant(raw_hits(rows), raw_hits(rival_rows)),
        needed=stats.texts_needed(difference.effect),
    )


def _family_fields(contrast: Contrast) -> dict[str, tuple[str, ...]]:
    """Return the values of a contrast by the fields of a ``Family``; an arm is meant by its name and by its kind."""
    key = contrast.key
    return {
        "arm": (key.arm, kind(key.arm)),
        "against": (contrast.rival, kind(contrast.rival)),
        "style": (key.style,),
        "setting": (key.setting,),
        "readout": (key.readout,),
        "operator": (key.operator,),
    }
