"""What is said of a cluster before there is one: options, resources, folders; no Ray is needed."""

import importlib.util

import pytest
import yaml

from problems import fails
from saywhy.folders import lock
from saywhy.folders.shared import SharedFolder
from saywhy.processes import making_parts
from saywhy.records import SaywhyError
from saywhy.study.plan import StudyPlan
from saywhy.study.read import read_plan
from saywhy.study.resources import StepResources, with_options
from saywhy.study.worker import AskedPart, PartComputed

PLAN = {"name": "tiny", "tasks": ["sentiment140"], "blocks": [{"name": "main", "train_tasks": "all"}]}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(PLAN), "utf-8")
    return path


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--on", "rya"], "--on rya: it takes ray; did you mean 'ray'?"),
        (["workers=2"], "'workers=2': it is for workers on a cluster: add --on ray, or leave it out"),
        (["train.gpus=1"], "'train.gpus=1': it is for workers on a cluster: add --on ray, or leave it out"),
        (["--on", "ray", "workers=0"], "workers=0: give a whole number from 1 on"),
        (["--on", "ray", "cpus=many"], "cpus=many: "),
        (
            ["--on", "ray", "train.memory=24 apples"],
            "memory=24 apples: '24 apples' is no memory: write for example 24GB",
        ),
        (["--on", "ray", "audit.gpus=-1"], "gpus=-1: "),
        (["--on", "ray", "audit.gpus=1.5"], "gpus=1.5: 1.5 is neither a part of a graphics card nor whole ones: "),
        (["--on", "ray", "tune.gpus=1"], "'tune.gpus=1': a study takes "),
        (
            ["--on", "ray", "out=s3://bucket/study"],
            "s3://bucket/study: Install s3fs to access S3, here and on all workers",
        ),
        (["out=gs://bucket/study"], "gs://bucket/study: gs:// is no folder, and"),
    ],
)
def test_words_that_no_cluster_takes_are_one_line(call, file, tmp_path, monkeypatch, words, problem):
    monkeypatch.setattr("saywhy.study.command.refuse_without_ray", lambda: None)
    monkeypatch.chdir(tmp_path)
    answer = call("study", str(file), *words)
    assert answer.code == 2
    assert answer.problem.startswith(problem)
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"], "nothing is begun"


def test_without_ray_it_says_how_to_install_it(call, file, tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "ray" else real(name, *more))
    answer = call("study", str(file), "--on", "ray", f"out={tmp_path / 'out'}")
    assert (answer.code, answer.problem) == (2, "--on ray needs Ray: pip install 'saywhy[ray]'")
    assert not (tmp_path / "out").exists()


def test_a_process_of_a_launch_begins_no_cluster(call, file, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    answer = call("study", str(file), "--on", "ray")
    assert answer.code == 2
    assert "--on ray begins its own processes: start it without accelerate or torchrun" in answer.err


def test_resources_stand_in_the_file_and_on_the_command_line_and_are_no_part_of_the_study(file):
    wanted = {"train": {"cpus": 4, "gpus": 1, "memory": "24GB"}, "keep": {"cpus": 0.5}}
    file.write_text(yaml.safe_dump({**PLAN, "resources": wanted}), "utf-8")
    plan = read_plan(file)
    assert plan.resources["train"] == StepResources(cpus=4, gpus=1, memory=24 * 10**9)
    assert plan.resolved() == StudyPlan(**PLAN).resolved()
    given = with_options(plan.resources, {"train.gpus": "2", "gpus": "0", "memory": "1.5 GiB"})
    assert given["train"] == StepResources(cpus=4, gpus=2, memory=3 * 2**29)
    assert given["audit"] == StepResources(gpus=0, memory=3 * 2**29)
    assert given["keep"] == StepResources(cpus=0.5, gpus=0, memory=3 * 2**29)
    assert str(given["keep"]) == "cpus: 0.5, gpus: 0, memory: 1610612736"


@pytest.mark.parametrize(
    ("resources", "problem"),
    [
        ({"tune": {"cpus": 1}}, "resources.tune"),
        ({"train": {"gpu": 1}}, "resources.train.gpu: there is no such entry"),
        ({"train": {"cpus": 0}}, "resources.train.cpus: "),
        ({"train": {"cpus": float("nan")}}, "resources.train.cpus: "),
        ({"train": {"gpus": 2.5}}, "resources.train.gpus: 2.5 is neither a part of a graphics card nor whole ones: "),
        ({"train": {"memory": "lots"}}, "resources.train.memory: 'lots' is no memory: write for example 24GB"),
    ],
)
def test_resources_that_cannot_be_are_refused(file, resources, problem):
    file.write_text(yaml.safe_dump({**PLAN, "resources": resources}), "utf-8")
    assert fails(read_plan, file).removeprefix(f"{file}: ").startswith(problem)


def test_a_graphics_card_is_asked_for_where_the_cluster_has_any():
    assert StepResources().needed({"CPU": 8.0}) == {"CPU": 1}
    assert StepResources().needed({"CPU": 8.0, "GPU": 4.0}) == {"CPU": 1, "GPU": 1}
    assert StepResources(gpus=0.25, memory=10**9).needed({"GPU": 4.0}) == {"CPU": 1, "GPU": 0.25, "memory": 10**9}


def test_a_worker_computes_the_chunk_it_is_asked_for_and_writes_nothing(tmp_path):
    leader = SharedFolder(tmp_path / "run", "run.json")
    leader.keep_lines("before.jsonl", [{"n": 1}])
    before = sorted(tmp_path.rglob("*"))

    def step(folder):
        folder.json("made.json", lambda: {"sum": 3})
        folder.stage_over("a", ("rows",), range(5), 2, lambda part: {"rows": [{"n": n} for n in part]})

    for place, number, content in (
        (tmp_path / "run" / "made.json", 0, {"sum": 3}),
        (tmp_path / "run" / "a" / ".rows-parts", 2, {"rows": [{"n": 4}]}),
    ):
        with making_parts(AskedPart(place, number)):
            worker = SharedFolder(tmp_path / "run", "run.json")
            with pytest.raises(PartComputed) as computed:
                step(worker)
        assert computed.value.content == content
        assert sorted(tmp_path.rglob("*")) == before
        leader.json("made.json", lambda: {"sum": 3})
        before = sorted(tmp_path.rglob("*"))
    step(leader)
    assert (tmp_path / "run/a/rows.jsonl").read_text("utf-8").count("\n") == 5


def test_a_worker_that_does_not_see_what_is_finished_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "SHARED_PATIENCE", 0.2)
    with making_parts(AskedPart(tmp_path / "other.json", 0)):
        folder = SharedFolder(tmp_path, "run.json")
        with pytest.raises(SaywhyError, match=r"made\.json was written, and is not seen on .* all machines share"):
            folder.json("made.json", dict)
