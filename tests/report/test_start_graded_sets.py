"""Free explanations have a share by the start's judgement where it judged them; elsewhere none."""

from dataclasses import replace

import pytest

from saywhy.bank.release import release_bank
from saywhy.checks import Judged, judge_name
from saywhy.folders.store import read_records
from saywhy.records import Row, SaywhyError
from saywhy.report.arms import start_graders
from saywhy.report.load import load_run
from saywhy.report.summary import summarise
from written_runs import lines, write_run

SHARES = {"adapted": 0.5, "faithful": 0.25}
"""Effects of free explanations in the start model; the floor is 0, the ceiling 1."""


def by_start(row):
    numbers = {name: getattr(row, name) for name in Judged.__dataclass_fields__ if name != "variation"}
    return Judged(**{**numbers, "variation": judge_name("adapted"), "effect": SHARES[row.arm]})


@pytest.fixture
def run(tmp_path):
    folder = write_run(tmp_path / "run", arms=("base", "adapted", "faithful"), n=40, seeds=(0,))
    for arm in ("base", "adapted", "faithful"):
        place = folder / "seed-0" / arm
        rows = read_records(place / "rows.jsonl", Row)
        measured = {"effect": SHARES.get(arm, 0.9), "effect_floor": 0.0, "effect_ceiling": 1.0}
        free = [
            replace(row, setting="free", reason=None, recheck=row.prediction, drop=0.1, **measured)
            for row in rows
            if (row.style, row.readout) == ("attribution", "generated")
        ]
        if arm == "faithful":
            lines(place / "by-adapted.jsonl", map(by_start, free))
            free = [replace(row, effect=0.75) for row in free]
        lines(place / "rows.jsonl", [*rows, *free])
    return folder


def shares(folder):
    cells = {cell.key.arm: cell for cell in summarise(load_run(folder)).cells if cell.key.setting == "free"}
    return {arm: (cell.effect_share.value, cell.effect_share_start.value) for arm, cell in cells.items()}


def test_the_start_grades_what_it_judged_and_its_own(run, tmp_path):
    assert shares(run) == {"base": (0.9, None), "adapted": (0.5, 0.5), "faithful": (0.75, 0.25)}
    assert shares(release_bank(run, tmp_path / "bank")) == shares(run)


def test_a_gain_that_the_start_does_not_see_is_drift(run):
    contrasts = [c for c in summarise(load_run(run)).contrasts if c.key.setting == "free" and c.rival == "adapted"]
    [contrast] = contrasts
    assert contrast.effect_share.value == pytest.approx(0.25)
    assert contrast.effect_share_start.value == pytest.approx(-0.25)
    assert contrast.is_drift


def test_rows_of_another_run_are_not_taken_for_those_that_it_judged(run):
    loaded = load_run(run)
    rows = [row for row in loaded.rows if row.setting == "free" and row.arm == "faithful"]
    grader = start_graders(loaded, ["redact"])["redact"]
    assert len(grader.effects(rows)) == 40
    assert grader.excess(rows, seed=0).n == 40
    assert not grader.of_words().effects(rows)
    assert grader.of_words().excess(rows, seed=0).value is None


def test_a_cell_of_which_some_seeds_were_not_judged_is_not_graded(run):
    loaded = load_run(run)
    rows = [row for row in loaded.rows if row.setting == "free" and row.arm == "faithful"]
    grader = start_graders(loaded, ["redact"])["redact"]
    assert not grader.effects(rows + [replace(row, seed=1) for row in rows])


def test_verdicts_that_lack_a_text_are_damage(run):
    path = run / "seed-0" / "faithful" / "by-adapted.jsonl"
    path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[1:]), "utf-8")
    with pytest.raises(SaywhyError, match=r"by-adapted.jsonl is damaged \(text t0 is missing\)"):
        load_run(run)
