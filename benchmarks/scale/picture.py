"""The picture of docs/scale.md: what the cards do over the hours of a run."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot

from benchmarks.scale.events import simulate
from benchmarks.scale.growth import ASSUMPTIONS
from benchmarks.scale.report import WORKERS, Grid


def draw(priced: Grid, path: Path, workers: int = WORKERS[-1]) -> None:
    """Draw how many of the cards do what, over the hours of a run."""
    colours = {"train": "#b5482f", "targets": "#d9a441", "audit": "#2f6db5", "keep": "#6a9f58", "show": "#8a8a8a"}
    figure, axes = pyplot.subplots(len(ASSUMPTIONS), 1, figsize=(8, 5.2), layout="constrained")
    for axis, assumption in zip(axes, ASSUMPTIONS, strict=True):
        schedule = simulate(priced.jobs(assumption), priced.cluster(workers))
        hours = np.linspace(0, schedule.makespan / 3600, 400)
        busy = {kind: np.zeros(len(hours) - 1) for kind in colours}
        for kind, begin, end in schedule.spans:
            covered = np.clip(np.minimum(end / 3600, hours[1:]) - np.maximum(begin / 3600, hours[:-1]), 0, None)
            busy[kind] += covered / np.diff(hours)
        axis.stackplot(hours[:-1], list(busy.values()), labels=list(busy), colors=list(colours.values()), step="post")
        axis.axhline(workers, color="black", linewidth=0.6)
        axis.set(xlim=(0, hours[-1]), ylim=(0, workers * 1.05), ylabel="cards at work")
        axis.set_title(f"{workers} cards, {assumption.name}: {schedule.makespan / 3600:.1f} h", loc="left", fontsize=10)
    axes[0].legend(loc="upper right", ncols=5, fontsize=8)
    axes[-1].set_xlabel("hours")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
