"""How many steps of a study fit into hours on a cluster: a crew and a study without any model."""

from types import SimpleNamespace

import pytest

from saywhy.study import spread
from saywhy.study.plan import StudyPlan
from saywhy.study.spread import SpreadStudy
from saywhy.study.steps import StudyStep

HOUR = 3600
AUDITS = [StudyStep("audit", "base", seed, "snli") for seed in range(12)]
TRAINING = StudyStep("train", "adapted", 0)
TRAINED = StudyStep("audit", "adapted", 0, "snli")


class FakeStudy:
    """A study whose steps take as long as forecast, by a clock that only its crew moves."""

    def __init__(self, hours_by_step):
        self.plan = StudyPlan(name="tiny", tasks=["snli"], blocks=[{"name": "main", "train_tasks": "all"}])
        self.seconds = {step: hours * HOUR for step, hours in hours_by_step.items()}
        self.done = []
        self.journal = SimpleNamespace(spent=lambda name, seconds: self.done.append(name))

    def freeze(self):
        pass

    def costs(self):
        return self.seconds

    def units_here(self, cost):
        return []

    def steps_left(self, steps):
        return list(self.seconds)

    def corrected_cost(self, cost):
        return cost


class FakeCrew:
    """Workers that share the running steps, one a worker, or all of an audit where they are free: no Ray."""

    def __init__(self, study_run, capacity, later_capacity=None):
        self.study_run, self.clock = study_run, 0.0
        self.workers, self.capacity = 0, dict.fromkeys(("train", "audit", "keep", "show"), capacity)
        self.store = None
        self.later_capacity = later_capacity
        self.seconds = {None: 0.0}
        self.spread_study = None

    def turn(self, timeout):
        running = list(self.spread_study._running) if self.spread_study else []
        if not running:
            return False
        self.clock += HOUR / 10
        self.workers = self.capacity["audit"]
        for step in running[: self.workers]:
            self.seconds[step] = self.seconds.get(step, 0.0) + HOUR / 10
        if self.later_capacity:
            self.capacity = dict.fromkeys(self.capacity, self.later_capacity)
        return True

    def close(self):
        pass


@pytest.fixture
def run(monkeypatch):
    """Return a function that does a study within hours, and returns whether it is complete, and the steps done."""
    monkeypatch.setattr(spread, "steps_of_units", lambda plan, units: [])

    def run_within(hours, hours_by_step, capacity, later_capacity=None):
        study_run = FakeStudy(hours_by_step)
        crew = FakeCrew(study_run, capacity, later_capacity)
        monkeypatch.setattr(spread, "time", SimpleNamespace(monotonic=lambda: crew.clock))
        spread_study = SpreadStudy(study_run, crew)
        monkeypatch.setattr(spread_study, "_performing", lambda step: lambda: None)
        crew.spread_study = spread_study

        def finished():
            ready = [
                step for step in spread_study._running if crew.seconds.get(step, 0.0) >= study_run.seconds[step] - 1e-6
            ]
            for step in ready:
                spread_study._running.pop(step)
            return ready

        monkeypatch.setattr(spread_study, "_finished", finished)
        is_complete = spread_study.run(hours)
        assert crew.clock <= hours * HOUR + 1e-6, "hours hold"
        return is_complete, study_run.done

    return run_within


def test_hours_are_those_of_all_workers_before_any_has_begun(run):
    is_complete, done = run(2.0, dict.fromkeys(AUDITS, 1.0), capacity=6)
    assert is_complete, "12 hours of work, 6 workers, 2 hours"
    assert len(done) == 12
    is_complete, done = run(2.0, dict.fromkeys(AUDITS, 1.0), capacity=1)
    assert (is_complete, len(done)) == (False, 2)


def test_a_step_that_does_not_fit_is_passed_over(run, capsys):
    is_complete, done = run(1.5, {AUDITS[0]: 4.0, AUDITS[1]: 1.0, AUDITS[2]: 0.5}, capacity=1)
    assert not is_complete
    assert done == [AUDITS[1].name, AUDITS[2].name]
    assert f"stopped before {AUDITS[0].name}: it does not fit into 1.5 h" in capsys.readouterr().err


def test_what_did_not_fit_is_weighed_again_when_machines_join(run):
    is_complete, done = run(2.0, dict.fromkeys(AUDITS, 1.0), capacity=1, later_capacity=12)
    assert is_complete, done


def test_what_runs_is_counted_by_what_is_left_of_it(run):
    is_complete, done = run(2.5, {AUDITS[0]: 1.0, AUDITS[1]: 1.5, AUDITS[2]: 0.9}, capacity=2)
    assert (is_complete, len(done)) == (True, 3)


def test_an_audit_waits_for_its_training_and_both_must_fit(run):
    assert run(3.0, {TRAINING: 1.0, TRAINED: 1.0}, capacity=4) == (True, [TRAINING.name, TRAINED.name])
    assert run(1.5, {TRAINING: 1.0, TRAINED: 1.0}, capacity=4) == (False, [TRAINING.name])
    assert run(0.5, {TRAINING: 1.0, TRAINED: 1.0}, capacity=4) == (False, [])
