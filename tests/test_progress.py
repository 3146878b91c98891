"""What a progress bar says of a stage that was begun in an earlier sitting."""

from types import SimpleNamespace

import pytest

from saywhy import progress
from saywhy.folders.run import RunFolder


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when a test says so; every step prints a line."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    return clock


def test_steps_of_an_earlier_sitting_are_done_but_in_no_time_of_this_one(clock, capsys):
    with progress.progress("train faithful", 1, "steps") as bar:
        clock.now = 2.0
        bar.update(81, 100)
        clock.now = 10.0
        bar.update(85, 100)
    assert capsys.readouterr().err.splitlines()[-1] == "train faithful: 85/100 steps, 0.5/s, 30 s left"


def test_a_stage_that_goes_on_counts_the_chunks_that_are_there(clock, tmp_path, capsys):
    run, texts = RunFolder(tmp_path / "run", {}, {}), range(10)

    def compute(part):
        if 4 in part and first_sitting:
            raise RuntimeError("killed")
        clock.now += 4.0
        bar.tick(len(part))
        return {"rows": [{"n": n} for n in part]}

    first_sitting = True
    with pytest.raises(RuntimeError), progress.progress("audit", len(texts)) as bar:
        run.stage_over("", ("rows",), texts, 2, compute, bar.skip)
    first_sitting = False
    capsys.readouterr()
    with progress.progress("audit", len(texts)) as bar:
        run.stage_over("", ("rows",), texts, 2, compute, bar.skip)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-3:] == [
        "audit: 6/10 texts, 0.5/s, 8 s left",
        "audit: 8/10 texts, 0.5/s, 4 s left",
        "audit: 10/10 texts, 0.5/s, 0 s left",
    ]
