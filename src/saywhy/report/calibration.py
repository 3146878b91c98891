"""What a calibration found: which metric tells true from false explanations, and which a trivial explainer fools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from saywhy import stats
from saywhy.folders.store import read_lines, read_object, read_records
from saywhy.records import OPERATORS, SaywhyError
from saywhy.report.format import NOTHING, Sheet, Shown, estimate, joined, number, sheet
from saywhy.report.load import load_manifest
from saywhy.ruler.metrics import EXPLAINERS, METRICS, Gauged
from saywhy.ruler.plants import FOLLOWS, PLANTS
from saywhy.stats import Interval

FALSE = ("liar", "plausible", "parrot", "everything")
"""Explainers that must stand below the honest one."""

Place = tuple[str, str, str]
"""(plant, operator, metric)."""
Way = tuple[str, str | None]
"""(attribution method, operator); None for a method that takes nothing out."""


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


@dataclass(frozen=True)
class Calibration:
    """A calibration, read; every number that is shown of it is computed once."""

    manifest: Mapping[str, Any]
    plants: tuple[Planted, ...]

    @property
    def learned(self) -> list[Planted]:
        """The plants that were measured."""
        return [one for one in self.plants if one.gauged]

    @property
    def places(self) -> list[Place]:
        """Every plant, operator and metric that was measured, in table order."""
        return [(one.name, op, metric) for one in self.learned for op in one.operators for metric in METRICS]

    @cached_property
    def areas(self) -> dict[Place, Interval]:
        """How well each metric tells accepted causes from the other words: the AUROC."""
        by_name = {one.name: one for one in self.learned}
        return {at: metric_auroc(by_name[at[0]].under(at[1]), at[2]) for at in self.places}

    @cached_property
    def fooled(self) -> dict[Place, list[str]]:
        """The explainers that each metric does not put below the honest one."""
        by_name = {one.name: one for one in self.learned}
        return {at: fools(by_name[at[0]].under(at[1]), at[2]) for at in self.places}

    @cached_property
    def fooled_anywhere(self) -> dict[str, dict[str, list[str]]]:
        """Operator -> metric -> the explainers that fool it on some plant."""
        who: dict[str, dict[str, list[str]]] = {}
        for (_, operator, metric), names in self.fooled.items():
            mine = who.setdefault(operator, {})
            mine[metric] = list(dict.fromkeys([*mine.get(metric, []), *names]))
        return who

    @cached_property
    def found(self) -> dict[Way, dict[str, Interval]]:
        """How often each attribution method's best word is an accepted cause, by plant."""
        rates: dict[Way, dict[str, Interval]] = {}
        for one in self.learned:
            hits: dict[Way, list[bool]] = {}
            for line in one.scores:
                hits.setdefault((line["method"], line["operator"]), []).append(line["best"] in line["causes"])
            for way, mine in hits.items():
                rates.setdefault(way, {})[one.name] = stats.rate(mine)
        return rates


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
    told = [*gauged.words.values(), *(gauged.said.get(name, {}) for name in EXPLAINERS)]
    if not gauged.words or any(metric not in one for one in told for metric in METRICS):
        raise SaywhyError(f"{path} was measured by other metrics: delete it and run the same 'saywhy calibrate' again")
    return gauged


def metric_auroc(gauged: Sequence[Gauged], metric: str) -> Interval:
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
    plants = [one.name for one in found.learned]
    rows: list[list[Shown | str]] = [
        [method, operator or NOTHING, *(estimate(rates[name]) if name in rates else Shown(NOTHING) for name in plants)]
        for (method, operator), rates in found.found.items()
    ]
    note = "Share of texts in which the word with the highest score is an accepted cause [95 %, Wilson]."
    return sheet("Attribution methods", ("method", "operator", *plants), rows, note)


def metrics_sheet(found: Calibration) -> Sheet:
    """Return how well each metric tells true from false one-word explanations, and who fools it."""
    plants = [one.name for one in found.learned]
    ways = sorted({at[1:] for at in found.places}, key=lambda way: (OPERATORS.index(way[0]), METRICS.index(way[1])))
    rows: list[list[Shown | str]] = []
    for operator, metric in ways:
        areas = {plant: found.areas.get((plant, operator, metric)) for plant in plants}
        cells = [Shown(NOTHING) if area is None else estimate(area) for area in areas.values()]
        rows.append([operator, metric, *cells, Shown(_who(found, operator, metric))])
    note = (
        "AUROC: chance that the metric is higher for an accepted cause than for another word, over all texts (0.5: it "
        "cannot tell) [95 %, bootstrap over texts]. Fooled by: explainers that it does not put below the honest one "
        "(lower bound of the paired difference not above 0), in brackets the plants if not all."
    )
    return sheet("Metrics: AUROC", ("operator", "metric", *plants, "fooled by"), rows, note)


def _who(found: Calibration, operator: str, metric: str) -> str:
    """Return who fools a metric, with the plants if it is not on all of them."""
    fooled = {at[0]: names for at, names in found.fooled.items() if at[1:] == (operator, metric)}
    told = []
    for name in FALSE:
        where = [plant for plant, names in fooled.items() if name in names]
        if where:
            told.append(name if len(where) == len(fooled) else f"{name} ({', '.join(where)})")
    return joined(told) or "no one"


def explainers_sheet(found: Calibration) -> Sheet:
    """Return the mean of each metric for each scripted explainer, and its rank."""
    rows: list[list[Shown | str]] = []
    under = {(one.name, operator): one.under(operator) for one in found.learned for operator in one.operators}
    for plant, operator, metric in found.places:
        gauged = under[plant, operator]
        means = {name: sum(text.said[name][metric] for text in gauged) / len(gauged) for name in EXPLAINERS}
        ranks = {name: 1 + sum(value > means[name] + 1e-9 for value in means.values()) for name in means}
        shown = [Shown(number(means[name]), f"({ranks[name]})") for name in EXPLAINERS]
        rows.append([plant, operator, metric, *shown])
    note = "Mean over texts, in brackets the rank. The honest one belongs first, alone."
    return sheet("Scripted explainers", ("plant", "operator", "metric", *EXPLAINERS), rows, note, texts=3)


def known(found: Calibration) -> dict[str, Any]:
    """Return what ``report.marks`` ships: of which calibration, and who fools which metric on any plant.

    >>> list(known(Calibration({}, ())))
    ['model', 'plants', 'texts', 'seed', 'revision', 'fooled']
    """
    config = found.manifest.get("config", {})
    return {
        "model": found.manifest.get("model", {}).get("name"),
        "plants": [one.name for one in found.learned],
        "texts": config.get("rows"),
        "seed": config.get("seeds", [None])[0],
        "revision": found.manifest.get("git"),
        "fooled": found.fooled_anywhere,
    }
