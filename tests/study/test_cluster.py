"""Which workers begin and end on a cluster of several machines, and which are refused; Ray is a stand-in."""

import sys
from pathlib import Path

import pytest

from fake_ray import FakeRay
from saywhy.records import SaywhyError
from saywhy.runs.manifest import package_versions
from saywhy.study import actors
from saywhy.study.cluster import RayCluster
from saywhy.study.messages import ClusterOrder, ClusterState, PartReply, PartRequest
from saywhy.study.plan import StudyPlan
from saywhy.study.resources import StepResources
from saywhy.study.steps import StudyStep

PLAN = StudyPlan(name="tiny", tasks=["snli"], blocks=[{"name": "main", "train_tasks": "all"}])
CPU = {"device": "cpu", "dtype": "float32", "products": "float32"}
CARD = {"device": "cuda", "dtype": "float32", "products": "TF32"}
TURNS = 300


class Leader:
    """The leader's end of the pipe: asks for parts, the next ones when ``after`` of the former are there.

    Attributes:
        asked: Parts still to be asked for: (when so many parts are there, what then happens, their requests).
        states: What was heard of the cluster.
        parts: Names of the parts that were computed, in order.
    """

    def __init__(self, asked):
        self.asked, self.states, self.parts = asked, [], []
        self.requests, self.turns = [], 0

    def poll(self, timeout):
        self.turns += 1
        if self.asked and len(self.parts) >= self.asked[0][0]:
            _, prepare, requests = self.asked.pop(0)
            prepare()
            self.requests += requests
        if self.turns > TURNS and not self.requests:
            raise EOFError
        return bool(self.requests)

    def recv(self):
        return self.requests.pop(0)

    def send(self, message):
        if isinstance(message, PartReply):
            self.parts.append(message.content)
        elif isinstance(message, ClusterState):
            self.states.append(message)


def requests_of(kind, rank, count):
    step = StudyStep(kind, "adapted", 0)
    return [PartRequest(100 * rank + n, rank, step, Path(f"{kind}-{n}"), n) for n in range(count)]


@pytest.fixture
def serve(monkeypatch, tmp_path):
    """Return a function that serves a leader until it has asked for all, by a cluster of these machines."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def serve_leader(ray, leader, precision=CPU, workers=None, **cpus):
        monkeypatch.setitem(sys.modules, "ray", ray)
        resources = {kind: StepResources(cpus=cpus.get(kind, 1)) for kind in ("train", "audit", "keep", "show")}
        order = ClusterOrder(PLAN, tmp_path, tmp_path, "token", precision, resources, workers)
        with pytest.raises(EOFError):
            RayCluster(leader, order).run()
        return leader

    return serve_leader


@pytest.fixture
def two_machines():
    return FakeRay({"a": {"CPU": 4.0}, "b": {"CPU": 4.0}}, versions=package_versions(), precision=CPU)


def test_a_large_worker_gets_a_machine_that_small_ones_share(serve, two_machines):
    slow = {f"audit-{n}" for n in range(4, 8)}
    two_machines.held |= slow
    leader = Leader(
        [
            (0, lambda: None, requests_of("audit", 5, 8)),
            (4, lambda: None, requests_of("train", 1, 1)),  # what is free is on two machines
        ]
    )
    poll = leader.poll

    def poll_and_let_through(timeout):
        if leader.turns == TURNS // 2:
            two_machines.held.clear()
        return poll(timeout)

    leader.poll = poll_and_let_through
    serve(two_machines, leader, train=4)
    assert "train-0" in leader.parts
    assert slow < set(leader.parts), "nobody at work was ended"
    assert two_machines.begun == 9, "none was begun in vain"


def test_workers_of_later_steps_do_not_take_the_room_of_an_earlier_one(serve, two_machines):
    leader = serve(
        two_machines,
        Leader([(0, lambda: None, requests_of("audit", 5, 40)), (8, lambda: None, requests_of("train", 1, 1))]),
        train=4,
    )
    assert "train-0" in leader.parts[:30], "not after all audits"
    assert len(leader.parts) == 41
    assert two_machines.begun < 20, "no worker is begun and ended in turn"


def test_a_worker_without_a_place_gets_that_of_idle_ones(serve, two_machines, monkeypatch):
    monkeypatch.setattr(actors, "PLACE_SECONDS", 0.0)
    two_machines.machines.pop("b")
    two_machines.occupied = {"a": {"CPU": 2}}  # by others, which Ray does not say
    leader = serve(
        two_machines,
        Leader([(0, lambda: None, requests_of("audit", 1, 2)), (2, lambda: None, requests_of("train", 2, 1))]),
        train=2,
    )
    assert leader.parts[-1] == "train-0"


def test_one_worker_at_a_time_does_steps_of_all_kinds(serve, two_machines):
    leader = serve(
        two_machines,
        Leader([(0, lambda: None, requests_of("audit", 1, 2)), (2, lambda: None, requests_of("train", 2, 2))]),
        workers=1,
        train=4,
    )
    assert leader.parts == ["audit-0", "audit-1", "train-0", "train-1"]
    assert two_machines.begun == 2


def test_the_leader_hears_what_there_is_room_for_before_any_worker_has_begun(serve, two_machines):
    first = serve(two_machines, Leader([]), train=3).states[0]
    assert (first.workers, first.capacity) == (0, {"train": 2, "audit": 8, "keep": 8, "show": 8})
    first = serve(two_machines, Leader([]), workers=3).states[0]
    assert set(first.capacity.values()) == {3}


@pytest.mark.parametrize(
    ("precision", "leader_precision", "problem"),
    [
        (
            CPU,
            CARD,
            r"on a computes on cpu with float32 weights and float32 products, and this process on cuda .*gpus=",
        ),
        (CARD, CPU, r"computes on cuda .*: set gpus=0, or give the command on a machine like the workers'"),
        ({**CPU, "products": "bfloat16"}, CPU, r"bfloat16 products, and this process .*: set precision=float32, "),
        ({**CARD, "products": "float32"}, CARD, r"and TF32 products: set precision=float32, "),
        ({**CPU, "dtype": "bfloat16"}, CPU, r"with bfloat16 weights .*: set precision=float32, "),
    ],
)
def test_a_worker_of_another_device_or_number_format_is_refused(
    serve, two_machines, precision, leader_precision, problem
):
    two_machines.greeting["precision"] = precision
    with pytest.raises(SaywhyError, match=problem) as refused:
        serve(two_machines, Leader([(0, lambda: None, requests_of("audit", 1, 1))]), leader_precision)
    assert "\n" not in str(refused.value)
