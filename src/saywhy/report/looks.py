"""Colours, markers and hatches of the pictures."""

from __future__ import annotations

from typing import Any

from saywhy.arms import kind

LOOKS = {
    "faithful": ("#0072B2", "o"),
    "lexical": ("#009E73", "^"),
    "random": ("#D55E00", "s"),
    "transplant": ("#CC79A7", "v"),
    "adapted": ("#555555", "D"),
    "base": ("#888888", "X"),
}
"""Colour (Okabe-Ito) and marker of each kind of arm."""

OTHER = ("#0072B2", "o")

RC: dict[Any, Any] = {
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
}

PIECES = (("#0072B2", ""), ("#9ecae1", ""), ("#ffffff", "////"), ("#dddddd", "...."), ("#ffffff", "xxxx"))
MORE = (("#bbbbbb", "||||"), ("#ffffff", "----"), ("#dddddd", "++++"), ("#ffffff", "oo"), ("#999999", "\\\\\\\\"))
"""Fill and hatch of the pieces of a stacked bar: faithful, not faithful, then the reasons."""


def look_of(arm: str) -> tuple[str, str]:
    """Return the colour and marker of an arm."""
    return LOOKS.get(kind(arm), OTHER)
