"""What is planted in the synthetic study: which arm gains where, which is brittle, which forgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from saywhy.records import STYLES

TASKS: dict[str, tuple[str, ...]] = {
    "films": ("good", "bad"),
    "trains": ("early", "late", "cancelled"),
    "meals": ("tasty", "awful"),
}
"""Task: its labels; the last task is unseen."""
TRAINED = ("films", "trains")
UNSEEN = ("meals",)


@dataclass(frozen=True)
class Plant:
    """What is planted in an arm.

    Attributes:
        skill: (task, style) -> chance that the constrained explanation is the best word rather than a random one.
        free: The same for free explanations, any task and style.
        valid: Share of valid generated replies.
        deciding: Words of a text that flip the answer, where the text can flip.
        able: Share of texts that can flip.
        accuracy: Share of right decisions.
        loss: Loss on instruction data (nats a token).
        plain: Share of plain answers that are still plain.
        settings: In what the arm's training differs from the plan.
        seeds: The seeds under which it ran; None for all.
        tasks: The tasks on which it is measured; None for those that it practised and the unseen ones.
    """

    skill: Mapping[tuple[str, str], float] = field(default_factory=dict)
    free: float = 0.0
    valid: float = 0.9
    deciding: int = 1
    able: float = 0.6
    accuracy: float = 0.85
    loss: float = 2.0
    plain: float = 1.0
    settings: Mapping[str, object] = field(default_factory=dict)
    seeds: tuple[int, ...] | None = None
    tasks: tuple[str, ...] | None = None


def _every(task: str, skill: float) -> dict[tuple[str, str], float]:
    return {(task, style): skill for style in STYLES}


FIRST = (0,)
PLANTS: dict[str, Plant] = {
    "base": Plant(valid=0.2, accuracy=0.7, loss=1.9, seeds=FIRST, tasks=tuple(TASKS)),
    "adapted": Plant(tasks=tuple(TASKS)),
    "faithful.all.films": Plant({**_every("films", 0.8), ("meals", "attribution"): 0.8}, free=0.8, tasks=tuple(TASKS)),
    "random.all.films": Plant(tasks=tuple(TASKS)),
    "faithful.all.trains": Plant(
        {("trains", "attribution"): 0.8, ("trains", "counterfactual"): 0.8}, free=0.8, tasks=tuple(TASKS)
    ),
    "random.all.trains": Plant(tasks=tuple(TASKS)),
    "faithful.attribution.films": Plant({("films", "attribution"): 0.8}, seeds=FIRST, tasks=("films",)),
    "random.attribution.films": Plant(seeds=FIRST, tasks=("films",)),
    "faithful.redaction.films": Plant(
        {("films", "redaction"): 0.8, ("films", "attribution"): 0.9}, seeds=FIRST, tasks=("films",)
    ),
    "random.redaction.films": Plant(seeds=FIRST, tasks=("films",)),
    "faithful.counterfactual.films": Plant({("films", "counterfactual"): 0.8}, seeds=FIRST, tasks=("films",)),
    "random.counterfactual.films": Plant(seeds=FIRST, tasks=("films",)),
    "lexical.all.films": Plant(_every("films", 0.4), seeds=FIRST, tasks=("films",)),
    "transplant.all.films": Plant(_every("films", 0.1), seeds=FIRST, tasks=("films",)),
    "faithful-full.all.films": Plant(
        _every("films", 0.3), deciding=4, able=0.95, settings={"rate": 0.01}, seeds=FIRST, tasks=("films",)
    ),
    "faithful-bare.all.films": Plant(
        _every("films", 0.8),
        accuracy=0.6,
        loss=3.1,
        plain=0.3,
        settings={"replay": None},
        seeds=FIRST,
        tasks=("films",),
    ),
    "faithful-refreshed.all.films": Plant(
        _every("films", 0.8), settings={"refresh": True}, seeds=FIRST, tasks=("films",)
    ),
    "faithful-rows40.all.films": Plant(
        _every("films", 0.3), settings={"train_rows": 40}, seeds=FIRST, tasks=("films",)
    ),
    "faithful-rows80.all.films": Plant(
        _every("films", 0.6), settings={"train_rows": 80}, seeds=FIRST, tasks=("films",)
    ),
    "random-rows40.all.films": Plant(settings={"train_rows": 40}, seeds=FIRST, tasks=("films",)),
}
"""What is true of each arm. ``faithful.all.trains`` gains nothing in redaction; only ``redaction`` carries over."""

BARS = [
    {
        "bar": "score", "arm": "faithful.all.TASK", "tasks": list(TRAINED), "styles": ["attribution", "redaction"],
        "at_least": 0.6,
    },
    {"bar": "drift", "arm": "faithful.all.TASK", "tasks": list(TRAINED), "styles": list(STYLES), "within": 0.05},
    {"bar": "confirmed", "p_below": 0.01},
    {"bar": "gate", "arm": "faithful.all.TASK", "tasks": list(TRAINED)},
    {"bar": "transfer", "axis": "other style"},
]  # fmt: skip
