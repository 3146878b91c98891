"""Contrasts: faithful arms against the arms that they are compared with, cell by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from saywhy import stats
from saywhy.arms import kind
from saywhy.records import Row
from saywhy.report.arms import level_seeds, rivals
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
        p_holm: p corrected for the confirmatory contrasts; None for the others.
        flippable: Scores of the two on the texts that can flip in both.
        raw: Number of texts that only the one arm hits and only the other, with McNemar's test; None without shared
            texts.
        needed: Texts that a next study needs to find a difference of this size.
    """

    key: CellKey
    rival: str
    difference: Difference
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


def contrasts_of(
    run: LoadedRun, cells: Mapping[CellKey, Sequence[Row]], keys: Sequence[CellKey], family: Family, seed: int
) -> tuple[Contrast, ...]:
    """Return the contrasts of faithful arms with their rivals; Holm's correction over those of ``family``."""
    contrasts = []
    for key in keys:
        for rival in rivals(run.arms, key.arm):
            if (rival_rows := cells.get(replace(key, arm=rival))) is not None:
                contrasts.append(contrast_of(key, rival, *level_seeds(cells[key], rival_rows), seed))
    tested = [
        at
        for at, contrast in enumerate(contrasts)
        if family.holds(_family_fields(contrast)) and contrast.difference.p is not None
    ]
    corrected = stats.holm([contrasts[at].difference.p or 0.0 for at in tested])
    for at, p_holm in zip(tested, corrected, strict=True):
        contrasts[at] = replace(contrasts[at], p_holm=p_holm)
    return tuple(contrasts)


def contrast_of(key: CellKey, rival: str, rows: Sequence[Row], rival_rows: Sequence[Row], seed: int) -> Contrast:
    """Compare a faithful arm's rows of a cell with those of ``rival``; both have the same seeds."""
    difference = stats.paired_difference(excesses(rows), excesses(rival_rows), seed)
    return Contrast(
        key=key,
        rival=rival,
        difference=difference,
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
