"""Faithful arms against the others, cell by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from saywhy import stats
from saywhy.arms import kind
from saywhy.records import Row
from saywhy.report.arms import level_seeds, rivals
from saywhy.report.cells import Key, excesses, raw_hits
from saywhy.report.load import Run
from saywhy.stats import Difference, Discordant, Family, Interval, Needed

NOT_SHOWN = "unclear"
"""The verdict on a contrast that shows nothing: neither a gain nor a loss, nor equality."""
UNCORRECTED = ", uncorrected"
"""Behind a verdict that stands by itself, but not after (or without) Holm's correction."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """A faithful arm against another in one cell: the paired difference of mean excess.

    Attributes:
        key: The faithful arm's cell.
        other: The arm that it is compared with.
        difference: Mean excess of the faithful arm minus that of the other, same texts.
        p_holm: p corrected for the confirmatory contrasts; None for the others.
        flippable: Scores of the two on the texts that can flip in both.
        raw: On how many texts each hits and the other does not, with McNemar's test; None without shared texts.
        needed: Texts that a next study needs to find a difference of this size.
    """

    key: Key
    other: str
    difference: Difference
    p_holm: float | None
    flippable: tuple[Interval, Interval]
    raw: Discordant | None
    needed: Needed

    @property
    def verdict(self) -> str:
        """``higher`` or ``lower`` if the interval excludes 0 and p < 0.05, or ``NOT_SHOWN``.

        ``, uncorrected`` is added where p is below 0.05 by itself but not after Holm's correction, and where the
        contrast is not confirmatory, so that nothing was corrected.
        """
        found = self.difference
        if found.low is None or found.high is None or found.p is None or found.p >= 0.05:
            return NOT_SHOWN
        if found.low <= 0 <= found.high:
            return NOT_SHOWN
        sign = "higher" if found.low > 0 else "lower"
        return sign if self.p_holm is not None and self.p_holm < 0.05 else f"{sign}{UNCORRECTED}"


def contrasts_of(
    run: Run, cells: Mapping[Key, Sequence[Row]], keys: Sequence[Key], family: Family, seed: int
) -> tuple[Contrast, ...]:
    """Compare faithful arms with the others; Holm over the contrasts of ``family``."""
    found = []
    for key in keys:
        for other in rivals(run.arms, key.arm):
            if (theirs := cells.get(replace(key, arm=other))) is not None:
                found.append(contrast_of(key, other, *level_seeds(cells[key], theirs), seed))
    tested = [at for at, c in enumerate(found) if family.holds(_place(c)) and c.difference.p is not None]
    corrected = stats.holm([found[at].difference.p or 0.0 for at in tested])
    for at, p in zip(tested, corrected, strict=True):
        found[at] = replace(found[at], p_holm=p)
    return tuple(found)


def contrast_of(key: Key, other: str, mine: Sequence[Row], theirs: Sequence[Row], seed: int) -> Contrast:
    """Compare two arms in one cell; ``mine`` and ``theirs`` have matching seeds."""
    difference = stats.paired_difference(excesses(mine), excesses(theirs), seed)
    return Contrast(
        key=key,
        other=other,
        difference=difference,
        p_holm=None,
        flippable=stats.score_on_flippable(mine, theirs, seed),
        raw=stats.discordant(raw_hits(mine), raw_hits(theirs)),
        needed=stats.texts_needed(difference.effect),
    )


def _place(contrast: Contrast) -> dict[str, tuple[str, ...]]:
    """Return what a family can be told by; an arm is meant by its name and by its kind."""
    key = contrast.key
    return {
        "arm": (key.arm, kind(key.arm)),
        "against": (contrast.other, kind(contrast.other)),
        "style": (key.style,),
        "setting": (key.setting,),
        "readout": (key.readout,),
        "operator": (key.operator,),
    }
