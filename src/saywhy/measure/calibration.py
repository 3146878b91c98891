"""Calibration constants, measured once by all processes of a launch and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from saywhy.folders.run import RunFolder
from saywhy.folders.store import read_json
from saywhy.measure.predict import examples_scores, mean_scores
from saywhy.models.interface import Model
from saywhy.progress import progress
from saywhy.records import Example
from saywhy.tasks.task import Task


def constants(
    folder: RunFolder,
    name: str,
    task: Task,
    texts: Sequence[Example],
    model: Callable[[], Model],
    size: int,
    stage: str,
) -> dict[str, float]:
    """Return each label's mean log-probability (nats) over ``texts``: the JSON file ``name`` of ``folder``.

    Args:
        folder: The run.
        name: The file.
        task: What is asked.
        texts: Calibration texts.
        model: Loads who answers; called only if something is left to compute.
        size: Texts a chunk.
        stage: What this is called in the progress and among the seconds of the run.
    """
    path = folder.path / name
    if path.is_file():
        kept: dict[str, float] = read_json(path)
        return kept

    def chunk(number: int) -> list[dict[str, float]]:
        return examples_scores(model(), task, texts[number * size : (number + 1) * size], bar.tick)

    def join(parts: list[list[dict[str, float]]]) -> dict[str, float]:
        return mean_scores(task, [one for part in parts for one in part])

    with folder.timed(stage), progress(stage, len(texts), shared=True) as bar:
        found: dict[str, float] = folder.json_of_chunks(name, -(-len(texts) // size), chunk, join)
    return found
