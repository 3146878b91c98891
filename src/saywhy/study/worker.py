"""A worker of a study: computes one part at a time, for the process that leads the study and keeps its files.

It does a step as the leader does, passes over what is done, and stops where it has come to the part that it is asked
for: the code of a step need not know who computes what. Models stay loaded between parts.
"""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saywhy.folders.object_store import ObjectFolder
from saywhy.folders.store import PART_SUFFIX, read_text, write_text
from saywhy.models.backends import precision_of
from saywhy.models.spec import resolve_model
from saywhy.processes import making_parts
from saywhy.records import SaywhyError
from saywhy.runs.manifest import package_versions
from saywhy.study.expand import task_settings
from saywhy.study.plan import StudyPlan
from saywhy.study.run import StudyRunner
from saywhy.study.steps import StudyStep


class PartComputed(BaseException):
    """Ends what a worker does when it has computed what it was asked for: nothing on the way is to handle it.

    Attributes:
        content: What it has computed.
    """

    def __init__(self, content: Any) -> None:
        super().__init__()
        self.content = content


class AskedPart:
    """Lets a worker compute one part and no other (a ``PartMaker``).

    Attributes:
        place: What it is a part of.
        number: Which part.
    """

    is_leader = False

    def __init__(self, place: Path, number: int) -> None:
        self.place, self.number = place, number

    def parts(self, place: Path, numbers: Iterable[int], compute: Callable[[int], Any]) -> Iterable[tuple[int, Any]]:
        """Compute the part if it is one of ``place``; what is missing elsewhere, the leader has from others."""
        if place == self.place:
            raise PartComputed(compute(self.number))
        return ()


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a worker says of itself before it is given anything to do.

    Attributes:
        host: The name of its machine.
        machine: Ray's name of it.
        versions: Versions of Python, saywhy and what it computes with.
        precision: Its device and number formats, as ``precision_here`` has them.
        trouble: Why it cannot work in the study's folder; None if it can.
    """

    host: str
    machine: str
    versions: Mapping[str, str]
    precision: Mapping[str, str]
    trouble: str | None = None

    def refuse_unlike(self, precision: Mapping[str, str]) -> None:
        """Refuse a worker that would compute otherwise than this process.

        Args:
            precision: Device and number formats of this process.

        Raises:
            SaywhyError: If its versions, device or number formats are others, with what to do.
        """
        versions = package_versions()
        for name in versions:
            if name != "python" and self.versions.get(name) != versions[name]:
                raise SaywhyError(
                    f"a worker on {self.host} has {name} {self.versions.get(name)}, and this is "
                    f"{versions[name]}: pip install '{name}=={versions[name]}' there, so that all rows are made alike"
                )
        if self.precision == precision:
            return
        remedy = "set precision=float32"
        if self.precision["device"] != precision["device"]:
            remedy = (
                "give its kind of step a card with gpus= (gpus: in resources:)"
                if precision["device"] == "cuda"
                else "set gpus=0, or give the command on a machine like the workers'"
            )
        theirs, ours = (
            f"{of['device']} with {of['dtype']} weights and {of['products']} products"
            for of in (self.precision, precision)
        )
        raise SaywhyError(
            f"a worker on {self.host} computes on {theirs}, and this process on {ours}: {remedy}, so that all rows "
            "are made alike"
        )


def precision_here(plan: StudyPlan) -> dict[str, str]:
    """Return what a study's model is computed in by this process: device, dtype (of weights) and products.

    Raises:
        SaywhyError: If there is no such model, or its configuration cannot be read.
    """
    config = task_settings(plan)
    precision = precision_of(resolve_model(config.model), config.precision)
    dtype = str(precision.dtype).removeprefix("torch.")
    return {"device": precision.device, "dtype": dtype, "products": precision.products}


def token_path(out: Path, name: str) -> Path:
    """Return where a token lies in the folder of a study, by which machines find out whether they share it."""
    return out / f".workers-{name}{PART_SUFFIX}"


class StudyWorker:
    """A worker; each of its methods is called from another process."""

    def __init__(self) -> None:
        self._runner: StudyRunner | None = None
        self._store: ObjectFolder | None = None

    def greet(self, out: Path, token: str, answer: str) -> Greeting:
        """Say who this is, and copy the token that the leader has left in the folder, for the leader to see.

        The study has been opened.

        Args:
            out: The study's folder.
            token: Name and content of the leader's token.
            answer: Name of this worker's copy.
        """
        import ray

        trouble = None
        place = self._fetched(out)
        try:
            if read_text(token_path(place, token)) == token:
                write_text(token_path(place, answer), token)
                self._publish()
            else:
                trouble = "holds another token"
        except OSError as error:
            trouble = error.strerror or str(error)
        machine = ray.get_runtime_context().get_node_id()
        return Greeting(socket.gethostname(), machine, package_versions(), precision_here(self._plan), trouble)

    def _fetched(self, path: Path) -> Path:
        """Return where what the leader has at ``path`` is for this worker; from a store, as it is there now."""
        if self._store is None:
            return path
        self._store.fetch()
        return self._store.path / path.relative_to(self._out)

    def _publish(self) -> None:
        if self._store:
            self._store.publish()

    def open(self, plan: StudyPlan, out: Path, here: Path, store: str | None = None) -> None:
        """Open the study.

        Args:
            plan: Its plan.
            out: Its folder, as an absolute path.
            here: The folder below which the plan's relative paths are, if this machine has it.
            store: Address of the folder in an object store, of which this worker gets a copy of its own; None: all
                machines share the folder itself.

        Raises:
            SaywhyError: If the store cannot be reached.
        """
        if here.is_dir():
            os.chdir(here)
        self._plan, self._out = plan, out
        if store:
            self._store = ObjectFolder(store, Path(tempfile.mkdtemp(prefix="saywhy-worker-")) / out.name)

    def compute(self, step: StudyStep | None, place: Path, number: int) -> tuple[Any, float]:
        """Compute a part.

        Args:
            step: The step that needs it; None: what comes before all steps.
            place: What it is a part of.
            number: Which part.

        Returns:
            Its content, and the seconds that it took.

        Raises:
            SaywhyError: If the step cannot be done here.
        """
        began = time.monotonic()
        asked = AskedPart(self._fetched(place), number)
        try:
            with making_parts(asked):
                if self._runner is None:
                    self._runner = StudyRunner(self._plan, self._store.path if self._store else self._out)
                if step:
                    self._runner.perform(step)
                else:
                    self._runner.costs()
        except PartComputed as part:
            self._publish()  # a training writes its model itself
            return part.content, time.monotonic() - began
        raise RuntimeError(f"{step.name if step else 'the beginning'} has no part {number} of {place}")
