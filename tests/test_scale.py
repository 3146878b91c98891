"""The price of a grid on other machines: the simulation against what must be so, the model of growth, the plan."""

import json
import os
import random
import sys

import pytest
import yaml

from benchmarks import script
from benchmarks.scale import __main__ as command
from benchmarks.scale import check
from benchmarks.scale.events import Cluster, simulate
from benchmarks.scale.growth import CARDS, HIGH, LOW, SHAPES, for_styles, operations_of, rates_on_card
from benchmarks.scale.jobs import NONE, StudyJobs
from benchmarks.scale.network import Job, critical_path, tails
from benchmarks.scale.report import Grid, sizes_of
from benchmarks.scale.tokens import TokenCount, read_counts
from plans import plan
from saywhy.folders.store import read_json
from saywhy.models.backends import open_model
from saywhy.pocket import rows
from saywhy.protocol.prompts import question_chat
from saywhy.records import SaywhyError
from saywhy.study.expand import plan_units
from saywhy.study.read import read_plan
from saywhy.study.steps import needed_trainings, steps_of_units
from saywhy.tasks.task import load_task


def job(name, pieces=1, seconds=1.0, *needs, **more):
    return Job(name, "audit", "base", name, pieces, seconds, needs=needs, **more)


DIAMOND = [
    job("first", 4, 2.0, spread=False),
    job("left", 10, 1.0, "first"),
    job("right", 1, 7.0, "first"),
    job("last", 2, 3.0, "left", "right", spread=False),
]


def random_jobs(dice, count):
    """Jobs of which each may need some of those before it."""
    return [
        job(
            f"job {number}",
            dice.randint(1, 6),
            dice.uniform(0.1, 9),
            *(f"job {earlier}" for earlier in range(number) if dice.random() < 0.1),
            spread=dice.random() < 0.5,
        )
        for number in range(count)
    ]


def test_one_worker_takes_the_sum():
    assert simulate(DIAMOND, Cluster(1)).makespan == pytest.approx(8 + 10 + 7 + 6)
    assert simulate(DIAMOND, Cluster(1)).utilisation == pytest.approx(1.0)


def test_enough_workers_take_the_critical_path():
    assert [step.name for step in critical_path(DIAMOND)] == ["first", "right", "last"]
    assert tails(DIAMOND)["first"] == pytest.approx(8 + 7 + 6)
    assert simulate(DIAMOND, Cluster(100)).makespan == pytest.approx(21)


@pytest.mark.parametrize("seed", range(20))
def test_no_schedule_beats_its_bounds_or_misses_grahams(seed):
    dice = random.Random(seed)
    jobs, workers = random_jobs(dice, 30), dice.randint(1, 9)
    schedule = simulate(jobs, Cluster(workers))
    work, chain = sum(step.work for step in jobs), max(tails(jobs).values())
    assert max(work / workers, chain) <= schedule.makespan * (1 + 1e-9)
    assert schedule.makespan <= (work / workers + chain) * (1 + 1e-9), "a worker was idle beside a piece that was ready"
    assert schedule.computing == pytest.approx(work)
    assert all(schedule.ended[name] <= schedule.began[step.name] for step in jobs for name in step.needs)
    assert schedule.whole == pytest.approx(schedule.computing + schedule.idle)


@pytest.mark.parametrize("seed", range(10))
def test_losses_cost_pieces_and_no_work_is_lost_or_done_twice(seed):
    jobs = random_jobs(random.Random(seed), 20)
    calm, stormy = (simulate(jobs, Cluster(3, losses=rate, restart=5.0, seed=seed)) for rate in (0, 100))
    assert stormy.losses > 0
    assert stormy.computing == pytest.approx(calm.computing)
    assert set(stormy.ended) == {step.name for step in jobs}
    longest = max(step.seconds for step in jobs)
    assert 0 < stormy.lost <= stormy.losses * (longest + 5.0)


def test_a_lost_training_goes_on_from_its_last_quarter():
    training = [job("train", 4, 1000.0, spread=False)]
    schedule = simulate(training, Cluster(1, losses=1.0, seed=3))
    assert schedule.losses > 0
    assert schedule.makespan == pytest.approx(4000 + schedule.lost)
    assert schedule.lost < 1000 * schedule.losses


def test_a_worker_loads_once_what_it_holds():
    jobs = [job("one arm", 5, 1.0), job("other arm", 5, 1.0)]
    schedule = simulate(jobs, Cluster(1, load={"base": 100.0}, switch={"base": 3.0}))
    assert schedule.loading == pytest.approx(100 + 3 + 3)
    assert simulate(jobs, Cluster(2, load={"base": 100.0}, switch={"base": 3.0})).makespan == pytest.approx(108)


def test_a_shared_folder_takes_one_file_at_a_time():
    jobs = [job("many files", 100, 1.0, size=10.0)]
    schedule = simulate(jobs, Cluster(100, write_rate=10.0, file_seconds=0.5))
    assert schedule.makespan == pytest.approx(1 + 100 * 1.5)
    assert (schedule.size, schedule.files) == (1000, 100)
    assert schedule.folder == pytest.approx(150)


def test_what_cannot_be_put_in_order_is_one_line():
    with pytest.raises(SaywhyError, match=r"^a needs b, which is no job of the plan$"):
        simulate([job("a", 1, 1.0, "b")], Cluster(1))
    with pytest.raises(SaywhyError, match=r"^jobs wait for each other: a, b$"):
        simulate([job("a", 1, 1.0, "b"), job("b", 1, 1.0, "a")], Cluster(1))
    with pytest.raises(SaywhyError, match="0 workers"):
        simulate(DIAMOND, Cluster(0))


@pytest.mark.parametrize(
    ("shape", "published"),
    [("135m", 134_515_008), ("7b", 6_738_415_616), ("8b", 8_030_261_248), ("13b", 13_015_864_320)],
)
def test_shapes_have_the_published_number_of_parameters(shape, published):
    assert SHAPES[shape].parameters == published


def test_operations_are_two_a_parameter_and_token_and_twice_that_in_training():
    shape, count = SHAPES["7b"], TokenCount(tree=100, plain=0, prompts=0, heads=10, replies=0)
    forward = 2 * (shape.body * 100 + shape.head * 10)
    assert operations_of(shape, "audit snli", count) == forward
    assert operations_of(shape, "train snli attribution", count) == 2 * forward
    seen = TokenCount(tree=100, plain=500, prompts=5, heads=10, replies=0)
    assert operations_of(shape, "audit snli", seen) - forward == 4 * 32 * 4096 * 100 * 100


def test_replies_cost_a_card_the_reading_of_its_weights():
    silent = {"audit snli": TokenCount(100, 100, 1, 1, 0)}
    replied = {"audit snli": TokenCount(100, 100, 1, 1, 50)}
    shape, card = SHAPES["7b"], CARDS["h100"]
    added = [rates_on_card(counts, shape, card, LOW)["audit snli"] for counts in (silent, replied)]
    assert added[1] - added[0] == pytest.approx(50 * 2 * shape.parameters / (3.35e12 * 0.4 * 32))


def test_more_styles_cost_what_is_asked_for_but_not_the_table():
    counts = {
        "audit snli x": TokenCount(100, 200, 10, 10, 20),
        "edits snli": TokenCount(60, 90, 5, 5, 0),
        "train snli attribution+redaction+counterfactual": TokenCount(30, 50, 3, 3, 0),
        "train snli redaction": TokenCount(10, 20, 1, 1, 0),
    }
    six = for_styles(counts, 6)
    assert six["audit snli x"].tree == 60 + 2 * 40
    assert six["train snli attribution+redaction+counterfactual"].tree == 60
    assert (six["train snli redaction"], six["edits snli"]) == (counts["train snli redaction"], counts["edits snli"])
    assert for_styles(counts, 3) == counts


ONE_TASK = {
    "tasks": ["sentiment140"],
    "unseen": [],
    "with": {"rows": 2, "train_rows": 2, "calibration_rows": 4},
    "instruction_rows": 2,
    "blocks": [
        {"name": "main", "arms": ["base", "faithful"], "settings": ["one-word", "free"],
         "readouts": ["constrained", "generated"]},
        {"name": "styles", "train_styles": "each", "variant": "alone"},
    ],
    "confirmatory": [],
}  # fmt: skip


def test_tokens_are_those_that_the_engine_computes(tmp_path, tiny_folder, monkeypatch, capsys):
    told, kept = tmp_path / "study.yaml", tmp_path / "tokens.json"
    told.write_text(yaml.safe_dump({"name": "one", "data": "pocket", **ONE_TASK}), "utf-8")
    words = ["--study", str(told), "--tokens", str(kept), "--model", str(tiny_folder), "--texts", "2", "--count"]
    monkeypatch.setattr(sys, "argv", ["scale", *words])
    command.main()
    counts = read_counts(read_json(kept))
    assert set(command.kept_counts(kept, read_plan(told))["words"]) == {"sentiment140"}
    assert all(count.plain > count.tree > 0 for name, count in counts.items() if name != "keep")
    *_, asked, all_asked = sorted(
        (name for name in counts if name.startswith("audit")), key=lambda name: counts[name].tree
    )
    assert counts["edits sentiment140"].tree < counts[asked].tree < counts[all_asked].tree
    assert (counts[asked].replies, counts["edits sentiment140"].replies) == (0, 0)
    assert counts[all_asked].replies > 6  # three styles, in one word and freely
    together, *alone = (
        counts[f"train sentiment140 {styles}"].tree
        for styles in ("attribution+redaction+counterfactual", "attribution", "redaction", "counterfactual")
    )
    assert max(alone) < together < sum(alone)  # the text and its answer are theirs together
    task = load_task("sentiment140")
    [example] = rows("sentiment140", "train")[:1]
    model = open_model(str(tiny_folder))
    assert counts["decide sentiment140"].plain == pytest.approx(
        len(model.chat.ids([model.chat.open(question_chat(task, example["text"], {}))])[0]), rel=0.3
    )


EVERY = {"audit": 2.0, "decide": 0.1, "train": 1.0, "targets": 3.0, "keep": 0.5}


class Rates(dict):
    def get(self, name, default=0.0):
        return EVERY[name.split()[0]]


def jobs_of(told, styles=3):
    return {step.name: step for step in StudyJobs(told, "m", Rates(), NONE, styles).jobs()}


def test_jobs_are_the_steps_of_the_plan_and_the_targets_that_arms_share():
    jobs, told = jobs_of(plan()), plan()
    steps = steps_of_units(told, plan_units(told))
    assert {f"m: {step.name}" for step in steps} == {name for name, step in jobs.items() if step.kind != "targets"}
    for step in steps:
        before = [f"m: {needed.name}" for needed in needed_trainings(told, step.arm, step.seed) if needed != step]
        assert before[-1:] == [name for name in jobs[f"m: {step.name}"].needs if "train" in name]
    both = [jobs[f"m: train {kind}.all.snli, seed 0"].needs[-1] for kind in ("faithful", "random")]
    assert both[0] == both[1] == "m: targets snli, seed 0"
    # The arm of 20 rows has the first 8 in common with the others; a refreshed one explains its other half itself.
    assert jobs["m: targets snli, seed 0"].work == 3.0 * 20
    anew = jobs["m: targets snli, seed 0, by faithful-half.all.snli"]
    assert (anew.work, anew.needs) == (3.0 * 4, ("m: train faithful-half.all.snli, seed 0",))


def test_with_six_styles_what_practises_one_is_there_twice():
    three, six = jobs_of(plan()), jobs_of(plan(), styles=6)
    added = set(six) - set(three)
    assert all(any(style in name for style in ("attribution", "redaction", "counterfactual")) for name in added)
    assert len(added) == sum(
        name.split(".")[1:2] in (["attribution"], ["redaction"], ["counterfactual"]) for name in three
    )
    twin = six["m: audit faithful.redaction.snli on snli, seed 0, style 1 more"]
    assert twin.needs == ("m: train faithful.redaction.snli, seed 0, style 1 more",)
    assert simulate(list(six.values()), Cluster(4)).computing == pytest.approx(sum(step.work for step in six.values()))


def test_the_shipped_grid_is_priced():
    told = read_plan(script.ROOT / "studies" / "grid7b.yaml")
    counts = read_counts(read_json(command.HERE / "tokens-grid7b.json"))
    priced = Grid(told, counts, 3, CARDS["h100"])
    low, high = (priced.jobs(assumption, ["7b"]) for assumption in (LOW, HIGH))
    assert all(step.seconds > 0 for step in (*low, *high))
    assert sum(step.work for step in low) > 2 * sum(step.work for step in high)
    trained = [step for step in low if step.kind == "train"]
    assert len(trained) == 5 * (1 + 6 * 2 * 4)
    assert sizes_of(SHAPES["7b"]).adapter == 4 * 16 * 32 * (4 * 2 * 4096 + 3 * (4096 + 11008))


def finished_study(folder, seconds, rates):
    folder.mkdir()
    (folder / "rates.json").write_text(json.dumps(rates), "utf-8")
    (folder / "study.json").write_text(json.dumps({"plan": plan().resolved(), "seconds": seconds}), "utf-8")
    os.utime(folder / "rates.json", (1000, 1000))
    os.utime(folder / "study.json", (1060, 1060))
    return folder


def test_a_finished_study_is_held_against_what_would_have_been_told(tmp_path, capsys, monkeypatch):
    done = {"train adapted, seed 0": 20.0, "audit adapted on snli, seed 0": 30.0, "keep adapted, seed 0": 4.0}
    alone = finished_study(tmp_path / "alone", done, {"train snli attribution+redaction+counterfactual": 0.5})
    assert check.wall_seconds(alone) == 60
    assert check.of_steps(*check.journal_of(alone)) == pytest.approx(54)
    # 36 texts in one pass are what adapted learns; without a rate an audit counts as nothing.
    assert check.simulated(*check.journal_of(alone), read_json(alone / "rates.json")) == pytest.approx(0.5 * 36 + 4)
    monkeypatch.setattr(sys, "argv", ["scale", "--quick", "--alone", str(alone), "--spread", str(alone)])
    command.main()
    assert "| one process | 22 (2.73) | 54 (1.11) | 60 |" in capsys.readouterr().out


SMOKE = script.ROOT / "studies" / "smoke.yaml"


def test_seconds_by_kind_say_how_far_beside_the_range_they_are():
    fast, slow = {"train a": 10.0, "audit a": 5.0, "audit b": 5.0}, {"train a": 20.0, "audit a": 8.0, "audit b": 8.0}
    lines = check.by_kind(fast, slow, {"train a": 5.0, "audit a": 6.0, "audit b": 9.0, "train gone": 1.0}).splitlines()
    assert lines[2:] == [
        "| train | 1 | 10 to 20 | 5 | -50% | 0 |",
        "| audit | 2 | 10 to 16 | 15 | within | 1 |",
        "| all | 3 | 20 to 36 | 20 | within | 1 |",
    ]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--alone", "nowhere"], "scale: nowhere holds no study.json: give the folder of a finished study, or a bank"),
        (["--tokens", "none.json"], "scale: none.json is not there: add --count to count the tokens"),
        (["--study", str(SMOKE)], "which study smoke has: give another --tokens=FILE, with --count"),
        (["--styles", "4"], "error: argument --styles: 4 styles: give a multiple of today's 3"),
        (["--study", "no.yaml"], "scale: the study file no.yaml cannot be read"),
    ],
)
def test_what_cannot_be_priced_is_one_line(words, line, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["scale", "--quick", *words])
    with pytest.raises(SystemExit) as ended:
        script.run("scale", command.main)
    assert ended.value.code == 2
    assert line in capsys.readouterr().err.splitlines()[-1]
