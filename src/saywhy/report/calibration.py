"""What a calibration found: which metric tells true from false explanations, and which a trivial explainer fools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saywhy import stats
from saywhy.gauge import EXPLAINERS, METRICS, Gauged
from saywhy.plants import FOLLOWS, PLANTS
from saywhy.records import SaywhyError
from saywhy.report.format import NOTHING, Sheet, Shown, estimate, joined, number, sheet
from saywhy.report.load import load_manifest
from saywhy.store import read_lines, read_object, read_records

GOOD = 0.95
"""An AUROC from which on a metric is said to tell true from false explanations."""
FALSE = ("liar", "plausible", "parrot", "everything")
"""Explainers that must stand below the honest one."""


@dataclass(frozen=True, slots=True)
class Planted:
    """One plant, measured.

    Attributes:
        name: Its name.
        right: Held-out texts that the model answers by the rule.
        held_out: All of them.
        counts: Texts measured (n), texts that no single word can change (fixed), texts answered otherwise (wrong).
        scores: Each attribution method's best word, a line a text.
        gauged: What the metrics say, one a text and operator.
    """

    name: str
    right: int
    held_out: int
    counts: Mapping[str, int]
    scores: tuple[Mapping[str, Any], ...]
    gauged: tuple[Gauged, ...]

    @property
    def operators(self) -> list[str]:
        """The operators, in the order in which they were asked for."""
        return list(dict.fromkeys(one.operator for one in self.gauged))

    @property
    def state(self) -> str:
        """Why nothing was measured; empty if something was."""
        if self.gauged:
            return ""
        if self.right < FOLLOWS * self.held_out:
            return "not learned: left out of what follows"
        return "not finished: run the same again"

    def under(self, operator: str) -> list[Gauged]:
        """Return what was measured under ``operator``."""
        return [one for one in self.gauged if one.operator == operator]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A calibration, read."""

    manifest: Mapping[str, Any]
    plants: tuple[Planted, ...]

    @property
    def learned(self) -> list[Planted]:
        """The plants that were measured."""
        return [one for one in self.plants if one.gauged]


def is_calibration(folder: Path) -> bool:
    """Whether a run folder was written by ``saywhy calibrate``."""
    return (folder / "plants").is_dir()


def load_calibration(folder: Path) -> Calibration:
    """Read a calibration.

    Raises:
        SaywhyError: If the folder is no run or is damaged, or if nothing was measured.
    """
    manifest = load_manifest(folder)
    found = Calibration(manifest, tuple(_plant(folder, name, manifest) for name in PLANTS if _begun(folder, name)))
    if not found.learned:
        told = "; ".join(f"{one.name} {one.state} ({one.right} of {one.held_out} texts)" for one in found.plants)
        again = told or "none was begun: run 'saywhy calibrate' again"
        raise SaywhyError(f"{folder} holds no plant that was measured: {again}")
    return found


def _begun(folder: Path, name: str) -> bool:
    return (folder / "plants" / name / "followed.json").is_file()


def _plant(folder: Path, name: str, manifest: Mapping[str, Any]) -> Planted:
    where = folder / "plants" / name
    followed = read_object(where / "followed.json", "right", "n")
    paths = where / "gauged.jsonl", where / "scores.jsonl"
    gauged: list[Gauged] = []
    scores: list[dict[str, Any]] = []
    if all(path.is_file() for path in paths):
        gauged = [_known(one, paths[0]) for one in read_records(paths[0], Gauged)]
        scores = read_lines(paths[1], "method", "operator", "best", "causes")
        if not gauged or not scores:
            raise SaywhyError(f"{where} holds nothing measured: delete it and run the same 'saywhy calibrate' again")
    counts = manifest.get("plants", {}).get(name, {})
    return Planted(name, followed["right"], followed["n"], counts, tuple(scores), tuple(gauged))


def _known(gauged: Gauged, path: Path) -> Gauged:
    """Refuse what another version measured by other metrics or of other explainers."""
    readings = [*gauged.words.values(), *(gauged.said.get(name, {}) for name in EXPLAINERS)]
    if not gauged.words or any(metric not in one for one in readings for metric in METRICS):
        raise SaywhyError(f"{path} was measured by other metrics: delete it and run the same 'saywhy calibrate' again")
    return gauged


def readings(found: Calibration) -> Iterator[tuple[str, str, str, list[Gauged]]]:
    """Yield every plant, operator and metric, with what was measured on its texts."""
    for one in found.learned:
        for operator in one.operators:
            gauged = one.under(operator)
            for metric in METRICS:
                yield one.name, operator, metric, gauged


def metric_auroc(gauged: Sequence[Gauged], metric: str) -> stats.Interval:
    """Return how well ``metric`` tells accepted causes from the other words of the texts."""
    true = [[reading[metric] for key, reading in one.words.items() if key in one.causes] for one in gauged]
    false = [[reading[metric] for key, reading in one.words.items() if key not in one.causes] for one in gauged]
    return stats.auroc(true, false)


def lead(gauged: Sequence[Gauged], metric: str, explainer: str) -> stats.Difference:
    """Return by how much ``metric`` puts the honest explainer above another, over texts."""
    honest, other = ({(one.id, 0): one.said[name][metric] for one in gauged} for name in ("honest", explainer))
    return stats.paired_difference(honest, other)


def fools(gauged: Sequence[Gauged], metric: str) -> list[str]:
    """Return the explainers that ``metric`` does not put below the honest one (lower bound not above 0)."""
    found = []
    for name in FALSE:
        low = lead(gauged, metric, name).low
        if low is None or low <= 0:
            found.append(name)
    return found


def plants_sheet(found: Calibration) -> Sheet:
    """Return what was planted, and how well the models follow it."""
    rows: list[list[Shown | str]] = []
    for one in found.plants:
        follows = stats.rate([True] * one.right + [False] * (one.held_out - one.right))
        counts = [Shown(str(one.counts[key]) if key in one.counts else NOTHING) for key in ("n", "fixed", "wrong")]
        rows.append([one.name, PLANTS[one.name].about, estimate(follows), *counts, Shown(one.state or NOTHING)])
    note = (
        "Follows: share of held-out texts answered by the rule. n: texts measured, all with an accepted cause and "
        "answered by the rule. Fixed: texts of the same draw that no single word can change. Wrong: texts with a cause "
        "that are answered otherwise."
    )
    return sheet("Plants", ("plant", "the answer is", "follows", "n", "fixed", "wrong", "state"), rows, note)


def methods_sheet(found: Calibration) -> Sheet:
    """Return how often each attribution method's top word is an accepted cause."""
    rows: list[list[Shown | str]] = []
    names = dict.fromkeys((line["method"], line["operator"]) for one in found.learned for line in one.scores)
    for method, operator in names:
        cells = []
        for one in found.learned:
            mine = [line for line in one.scores if (line["method"], line["operator"]) == (method, operator)]
            cells.append(estimate(stats.rate([line["best"] in line["causes"] for line in mine])))
        rows.append([method, operator or NOTHING, *cells])
    note = "Share of texts in which the word with the highest score is an accepted cause [95 %, Wilson]."
    return sheet("Attribution methods", ("method", "operator", *(one.name for one in found.learned)), rows, note)


def metrics_sheet(found: Calibration) -> Sheet:
    """Return how well each metric tells true from false one-word explanations, and who fools it."""
    rows: list[list[Shown | str]] = []
    for plant, operator, metric, gauged in readings(found):
        fooled = joined(fools(gauged, metric)) or "no one"
        rows.append([plant, operator, metric, estimate(metric_auroc(gauged, metric)), Shown(fooled)])
    note = (
        "AUROC: chance that the metric is higher for an accepted cause than for another word, over all texts (0.5: it "
        "cannot tell) [95 %, bootstrap over texts]. Fooled by: explainers that it does not put below the honest one "
        "(lower bound of the paired difference not above 0)."
    )
    return sheet("Metrics", ("plant", "operator", "metric", "AUROC", "fooled by"), rows, note, texts=3)


def explainers_sheet(found: Calibration) -> Sheet:
    """Return the mean of each metric for each scripted explainer, and its rank."""
    rows: list[list[Shown | str]] = []
    for plant, operator, metric, gauged in readings(found):
        means = {name: sum(text.said[name][metric] for text in gauged) / len(gauged) for name in EXPLAINERS}
        ranks = {name: 1 + sum(value > means[name] + 1e-9 for value in means.values()) for name in means}
        shown = [Shown(number(means[name]), f"({ranks[name]})") for name in EXPLAINERS]
        rows.append([plant, operator, metric, *shown])
    note = "Mean over texts, in brackets the rank. The honest one belongs first, alone."
    return sheet("Scripted explainers", ("plant", "operator", "metric", *EXPLAINERS), rows, note, texts=3)


def verdicts(found: Calibration) -> list[str]:
    """Say in words what each metric is worth, under the first operator, over all plants."""
    told = []
    for metric in METRICS:
        every = {one.name: metric_auroc(one.under(one.operators[0]), metric).value for one in found.learned}
        areas = {name: value for name, value in every.items() if value is not None}
        if not areas:
            told.append(f"{metric} cannot be judged: the texts have no word that is a false explanation.")
            continue
        fooled = dict.fromkeys(name for one in found.learned for name in fools(one.under(one.operators[0]), metric))
        worst = min(areas, key=areas.__getitem__)
        tells = (
            f"tells true from false explanations (AUROC {number(min(areas.values()))} or more)"
            if areas[worst] >= GOOD
            else f"does not tell true from false explanations well enough (AUROC {number(areas[worst])} on {worst})"
        )
        trick = f"; it is fooled by {joined(list(fooled))}" if fooled else "; no scripted explainer fools it"
        told.append(f"{metric} {tells}{trick}.")
    return told
