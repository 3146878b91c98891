"""The workers of a study as Ray's actors: how its cluster is reached, and how they begin and end there."""

from __future__ import annotations

import os
import secrets
import socket
import time
from dataclasses import dataclass, field
from typing import Any, Self

from saywhy.printable import in_one_line
from saywhy.records import SaywhyError
from saywhy.study.messages import ClusterOrder, PartRequest
from saywhy.study.resources import StepResources
from saywhy.study.room import Share
from saywhy.study.steps import StudyStep

JOIN_SECONDS = 20.0
"""Seconds within which the head of a cluster must take a connection."""
PLACE_SECONDS = 30.0
"""Seconds after which a worker that does not answer is taken to have no place: others may have the resources."""


def join_cluster() -> None:
    """Reach the cluster that ``RAY_ADDRESS`` names, or begin one on this machine.

    Raises:
        SaywhyError: If that is not possible.
    """
    import ray

    address = os.environ.get("RAY_ADDRESS") or "local"
    host, _, port = address.rpartition(":")
    own = {"include_dashboard": False, "object_store_memory": 10**8} if address == "local" else {}
    try:
        if port.isdecimal() and "/" not in host:  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), JOIN_SECONDS).close()
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **own)
    except (RuntimeError, ValueError, OverflowError, OSError) as error:
        raise SaywhyError(
            f"the Ray cluster (RAY_ADDRESS={address}) cannot be used: {in_one_line(str(error), 300)}"
        ) from error


@dataclass(eq=False, slots=True)
class ClusterWorker:
    """A worker as the process that speaks to Ray sees it.

    Attributes:
        actor: Ray's handle.
        resources: What it was asked for with.
        share: What it has of which machine, as far as is known.
        answer: Name of its copy of the token.
        pending: What Ray will give its answer for.
        request: What it computes; None: nothing.
        step: What it computed last, whose model it holds.
        is_placed: Whether Ray has given it a place: it has opened the study.
        is_ready: Whether it has been greeted, too.
        began: When it was begun, in seconds of ``time.monotonic``.
    """

    actor: Any
    resources: StepResources
    share: Share
    answer: str
    pending: Any
    request: PartRequest | None = None
    step: StudyStep | None = None
    is_placed: bool = False
    is_ready: bool = False
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def begun(cls, order: ClusterOrder, resources: StepResources, share: Share) -> Self:
        """Begin a worker; where, Ray decides.

        Args:
            order: What is to be done.
            resources: What it needs.
            share: The same in amounts of Ray's, and where they are expected to be had.
        """
        import ray

        actor = (
            ray.remote(order.worker)
            .options(
                num_cpus=share.amounts.get("CPU", 0),
                num_gpus=share.amounts.get("GPU", 0),
                memory=int(share.amounts.get("memory", 0)) or None,
                max_restarts=0,
                scheduling_strategy="SPREAD",
            )
            .remote()
        )
        pending = actor.open.remote(order.plan, order.out, order.here, order.store)
        return cls(actor, resources, share, f"{order.token}-{secrets.token_hex(4)}", pending)

    def is_new(self) -> bool:
        """Whether it may still be on its way to a place."""
        return time.monotonic() - self.began < PLACE_SECONDS

    def end(self) -> None:
        """End it, whatever it does."""
        import ray

        ray.kill(self.actor)
