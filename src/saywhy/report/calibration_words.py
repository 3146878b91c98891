"""What a calibration says of each metric, in words."""

from __future__ import annotations

from saywhy.report.calibration import GOOD_AUROC, Calibration
from saywhy.report.format import joined, number
from saywhy.ruler.metrics import METRICS


def metric_verdicts(calibration: Calibration) -> list[str]:
    """Say in words what each metric is worth, over all plants: under the first operator, and who fools it elsewhere."""
    sentences = []
    for metric in METRICS:
        cells = [(plant.name, plant.operators[0], metric) for plant in calibration.learned]
        aurocs = {cell[0]: auroc for cell in cells if (auroc := calibration.aurocs[cell].value) is not None}
        if not aurocs:
            sentences.append(f"{metric} cannot be judged: the texts have no word that is a false explanation.")
            continue
        worst = min(aurocs, key=aurocs.__getitem__)
        tells = (
            f"tells true from false explanations (AUROC {number(aurocs[worst])} at worst)"
            if aurocs[worst] >= GOOD_AUROC
            else f"does not tell true from false explanations well enough (AUROC {number(aurocs[worst])} on {worst})"
        )
        sentences.append(f"{metric} {tells}; {_who_fools(calibration, metric)}.")
    return sentences


def _who_fools(calibration: Calibration, metric: str) -> str:
    """Say who fools ``metric`` under the first operator; if no one does, who does under another."""
    explainers = {operator: by_metric[metric] for operator, by_metric in calibration.fooled_anywhere.items()}
    first = calibration.learned[0].operators[0]
    if explainers[first]:
        return f"it is fooled by {joined(explainers[first])}"
    operators = [operator for operator, names in explainers.items() if names]
    names = joined(list(dict.fromkeys(name for operator in operators for name in explainers[operator])))
    elsewhere = f" under {first}; under {joined(operators)}, {names} does" if operators else ""
    return f"no scripted explainer fools it{elsewhere}"
