"""What a calibration says of each metric, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from saywhy.report.calibration import GOOD_AUROC, Calibration
from saywhy.report.format import joined, number
from saywhy.ruler.metrics import METRICS


def metric_verdicts(calibration: Calibration) -> list[str]:
    """Say in words what each metric is worth, over all plants: under the first operator, and who fools it elsewhere."""
    sentences, first = [], calibration.learned[0].operators[0]
    for metric in METRICS:
        cells = [(plant.name, first, metric) for plant in calibration.learned]
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
        sentences.append(f"{metric} {tells}; {who_fools(calibration.fooled_anywhere, first, metric)}.")
    return sentences


def who_fools(fooled: Mapping[str, Mapping[str, Sequence[str]]], first: str, metric: str) -> str:
    """Say who fools a metric under the first operator; if no one does, who does under another.

    Args:
        fooled: Operator -> metric -> the explainers that fool it on some plant; a metric may not be under all of them.
        first: The first operator.
        metric: The metric.
    """
    explainers = {operator: by_metric.get(metric, ()) for operator, by_metric in fooled.items()}
    if explainers.get(first):
        return f"it is fooled by {joined(explainers[first])}"
    operators = [operator for operator, names in explainers.items() if names]
    names = joined(list(dict.fromkeys(name for operator in operators for name in explainers[operator])))
    elsewhere = f" under {first}; under {joined(operators)}, {names} does" if operators else ""
    return f"no scripted explainer fools it{elsewhere}"
