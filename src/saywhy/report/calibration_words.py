"""What a calibration says of each metric, in words."""

from __future__ import annotations

from saywhy.report.calibration import Calibration
from saywhy.report.format import joined, number
from saywhy.ruler.metrics import METRICS

GOOD = 0.95
"""An AUROC from which on a metric is said to tell true from false explanations."""


def verdicts(found: Calibration) -> list[str]:
    """Say in words what each metric is worth, over all plants: under the first operator, and who fools it elsewhere."""
    told = []
    for metric in METRICS:
        places = [(one.name, one.operators[0], metric) for one in found.learned]
        areas = {at[0]: area for at in places if (area := found.areas[at].value) is not None}
        if not areas:
            told.append(f"{metric} cannot be judged: the texts have no word that is a false explanation.")
            continue
        worst = min(areas, key=areas.__getitem__)
        tells = (
            f"tells true from false explanations (AUROC {number(areas[worst])} at worst)"
            if areas[worst] >= GOOD
            else f"does not tell true from false explanations well enough (AUROC {number(areas[worst])} on {worst})"
        )
        told.append(f"{metric} {tells}; {_trick(found, metric)}.")
    return told


def _trick(found: Calibration, metric: str) -> str:
    """Say who fools ``metric`` under the first operator; if no one does, who does under another."""
    who = {operator: mine[metric] for operator, mine in found.fooled_anywhere.items()}
    first = found.learned[0].operators[0]
    if who[first]:
        return f"it is fooled by {joined(who[first])}"
    others = [operator for operator, names in who.items() if names]
    names = joined(list(dict.fromkeys(name for operator in others for name in who[operator])))
    where = f" under {first}; under {joined(others)}, {names} does" if others else ""
    return f"no scripted explainer fools it{where}"
