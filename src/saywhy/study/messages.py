"""What the leader of a study and the process that speaks to its cluster say to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saywhy.study.plan import StudyPlan
from saywhy.study.resources import StepKind, StepResources
from saywhy.study.steps import StudyStep
from saywhy.study.worker import StudyWorker


@dataclass(frozen=True, slots=True)
class ClusterOrder:
    """What is to be done on a cluster.

    Attributes:
        plan: The study.
        out: Its folder, as an absolute path.
        here: The folder in which its command was given.
        token: Name and content of the token in its folder.
        precision: Device and number formats of the leader, which those of workers must be.
        resources: What a worker needs for each kind of step.
        workers: The most workers at a time; None: as many as the cluster has resources for.
        worker: What a worker is.
        store: Address of the folder in an object store, of which ``out`` is the leader's copy; None: workers share it.
    """

    plan: StudyPlan
    out: Path
    here: Path
    token: str
    precision: Mapping[str, str]
    resources: Mapping[StepKind, StepResources]
    workers: int | None = None
    worker: type[StudyWorker] = StudyWorker
    store: str | None = None


@dataclass(frozen=True, slots=True)
class PartRequest:
    """A part that is to be computed.

    Attributes:
        id: Of the request.
        rank: The place of its step in the order of the study: lower ones come first.
        step: The step that needs it; None: what comes before all steps.
        place: What it is a part of.
        number: Which part.
    """

    id: int
    rank: int
    step: StudyStep | None
    place: Path
    number: int

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return self.step.name if self.step else "the study's beginning"


@dataclass(frozen=True, slots=True)
class PartReply:
    """A part that was computed: the id of its request, its content, and the seconds that it took."""

    id: int
    content: Any
    seconds: float


@dataclass(frozen=True, slots=True)
class ClusterState:
    """How the cluster is.

    Attributes:
        workers: How many workers are at work.
        capacity: How many there is room for at a time, by kind of step, if it is the only kind.
        note: What the user should know, if anything.
    """

    workers: int
    capacity: Mapping[str, int]
    note: str = ""


@dataclass(frozen=True, slots=True)
class ClusterTrouble:
    """What ends the study: in one line, or as a traceback where nobody foresaw it."""

    text: str
    is_foreseen: bool = True
