"""Colours, markers and hatches of the pictures."""

from __future__ import annotations

from typing import Any

from saywhy.arms import kind

ARM_LOOKS = {
    "faithful": ("#0072B2", "o"),
    "lexical": ("#009E73", "^"),
    "random": ("#D55E00", "s"),
    "transplant": ("#CC79A7", "v"),
    "adapted": ("#555555", "D"),
    "base": ("#888888", "X"),
}
"""Colour (Okabe-Ito) and marker of each kind of arm."""

LOOK_OF_UNKNOWN_KIND = ("#0072B2", "o")
"""Colour and marker of an arm whose name says no kind."""

RC_PARAMS: dict[Any, Any] = {
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.edgecolor": "#777777",
    "xtick.color": "#444444",
    "grid.color": "#dddddd",
    "hatch.linewidth": 0.5,
    "svg.fonttype": "path",
    "text.parse_math": False,  # a label may hold a dollar sign
}
"""Matplotlib's rcParams for every picture."""

BAR_PIECES = (("#0072B2", ""), ("#9ecae1", ""), ("#ffffff", "////"), ("#dddddd", "...."), ("#ffffff", "xxxx"))
"""Fill and hatch of the pieces of a stacked bar: faithful, not faithful, then the most frequent reasons."""

FURTHER_BAR_PIECES = (
    ("#bbbbbb", "||||"),
    ("#ffffff", "----"),
    ("#dddddd", "++++"),
    ("#ffffff", "oo"),
    ("#999999", "\\\\\\\\"),
)
"""Fill and hatch of further reasons."""


def look_of(arm: str) -> tuple[str, str]:
    """Return the colour and marker of an arm."""
    return ARM_LOOKS.get(kind(arm), LOOK_OF_UNKNOWN_KIND)
