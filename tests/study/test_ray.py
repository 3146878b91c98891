"""A study by the workers of a Ray cluster gives the files of one process, whatever happens to workers on the way."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml

import ray_workers
from kills import result_of
from saywhy.folders import store
from saywhy.folders.object_store import ObjectFolder
from saywhy.records import SaywhyError
from saywhy.study.crew import Crew
from saywhy.study.plan import StudyPlan
from saywhy.study.resources import with_options
from saywhy.study.run import StudyRunner
from saywhy.study.spread import SpreadStudy

pytestmark = pytest.mark.slow
pytest.importorskip("ray", reason="Ray is not installed: pip install 'saywhy[ray]'")

PLAN = {
    "name": "tiny",
    "tasks": ["sentiment140"],
    "seeds": [0],
    "instruction_rows": 4,
    "with": {
        **{"rows": 4, "adapt_rows": 4, "train_rows": 4, "decide_rows": 4, "calibration_rows": 4},
        **{"most_words": 9, "chunk": 2, "pinned_words": 2, "per_device_train_batch_size": 1},
    },
    "blocks": [
        {"name": "main", "arms": ["base", "adapted", "faithful"], "test_tasks": "all", "styles": ["attribution"]}
    ],
    "confirmatory": [
        {"block": "main", "arm": "faithful", "against": "adapted", "styles": ["attribution"]},
    ],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of made-up texts: of texts that are not built in, a study shows examples beside."""
    folder = tmp_path_factory.mktemp("data")
    for split in ("train", "validation", "test"):
        rows = [
            {"text": f"{split} number {n} was {mood} today", "label": label}
            for n, (mood, label) in enumerate([("lovely", "positive"), ("dreary", "negative")] * 20)
        ]
        store.write_lines(folder / "sentiment140" / f"{split}.jsonl", rows)
    return folder


@pytest.fixture(scope="module")
def plan(tiny_folder, data) -> StudyPlan:
    return StudyPlan(**PLAN, model=str(tiny_folder), data=str(data))


@pytest.fixture(scope="module")
def straight(plan, tmp_path_factory):
    """The files that one process makes."""
    out = tmp_path_factory.mktemp("straight") / "out"
    StudyRunner(plan, out).run()
    return result_of(out)


@pytest.fixture(autouse=True)
def _environment(monkeypatch, tmp_path):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)]))
    monkeypatch.setenv("SAYWHY_TEST_PARTS", str(tmp_path / "parts"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def spread(plan, out, worker=ray_workers.NotedWorker, workers=2, **resources) -> bool:
    study_run = StudyRunner(plan, out)
    with Crew(plan, out, with_options({}, resources), workers, worker) as crew:
        return SpreadStudy(study_run, crew).run()


def parts(tmp_path) -> Counter:
    return Counter((tmp_path / "parts").read_text("utf-8").splitlines())


def test_two_workers_make_the_files_of_one_process(plan, straight, tmp_path):
    assert spread(plan, tmp_path / "two" / "out")
    assert result_of(tmp_path / "two" / "out") == straight
    made = parts(tmp_path)
    assert set(made.values()) == {1}, "each part is computed once"
    assert sum("sentiment140/seed-0/base/.rows-parts" in part for part in made) == 2, "an audit is parted in its chunks"
    assert {part.split()[0] for part in made} == {"begin", "train", "audit", "keep", "show"}


def test_a_worker_that_is_killed_costs_a_chunk_in_each_kind_of_step(plan, straight, tmp_path, capsys):
    assert spread(plan, tmp_path / "two" / "out", ray_workers.MortalWorker)
    assert result_of(tmp_path / "two" / "out") == straight
    kinds = {path.suffix[1:] for path in tmp_path.glob("parts.*")}
    assert kinds == {"begin", "practise", "train", "audit", "keep", "show"}
    again = [part for part, count in parts(tmp_path).items() for _ in range(count - 1)]
    assert len(again) == len(kinds), again
    messages = capsys.readouterr().err
    assert messages.count("a worker was lost") == len(again), messages
    assert "is computed again" in messages


def test_machines_that_share_no_folder_meet_in_an_object_store(plan, straight, tmp_path):
    url = f"file://{tmp_path}/bucket/study"
    bucket = ObjectFolder(url, tmp_path / "leader" / "out")
    study_run = StudyRunner(plan, bucket.path)
    with Crew(plan, bucket.path, with_options({}, {}), 2, ray_workers.MortalWorker, bucket) as crew:
        assert SpreadStudy(study_run, crew).run()
    bucket.publish()
    elsewhere = ObjectFolder(url, tmp_path / "elsewhere" / "out")
    elsewhere.fetch()
    for folder in (bucket.path, elsewhere.path):
        results = result_of(folder)
        assert results.pop("out.synced.json")
        assert results == straight
    assert StudyRunner(plan, elsewhere.path).run(), "another machine may go on"


def test_a_study_that_was_stopped_goes_on_without_ray(plan, straight, tmp_path):
    out, file = tmp_path / "stopped" / "out", tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(plan.resolved(), sort_keys=False), "utf-8")
    command = [sys.executable, "-m", "saywhy", "study", str(file), "--on", "ray", f"out={out}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while process.poll() is None and not list(out.glob("tasks/*/seed-0/*/rows.jsonl")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    messages = process.communicate(timeout=120)[1]
    assert process.returncode == 128 + signal.SIGINT, messages
    assert (
        messages.splitlines()[-1] == "saywhy: stopped; what was computed is kept, the same command goes on from there"
    )
    assert "Traceback" not in messages
    StudyRunner(plan, out).run()
    made = result_of(out)
    assert {name: made.get(name) for name in straight} == straight


def test_a_study_that_was_stopped_goes_on_from_its_store_on_another_machine(plan, straight, tmp_path, monkeypatch):
    bucket, file = tmp_path / "bucket" / "study", tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(plan.resolved(), sort_keys=False), "utf-8")
    command = [sys.executable, "-m", "saywhy", "study", str(file), "--on", "ray", f"out=file://{bucket}"]
    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path / "first"))
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while process.poll() is None and not list(bucket.glob("models/seed-0/*/adapter/adapter_config.json")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    messages = process.communicate(timeout=120)[1]
    assert process.returncode == 128 + signal.SIGINT, messages
    assert "Traceback" not in messages
    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path / "second"))
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    [copy] = tmp_path.glob("second/stores/*/study")
    assert f"file://{bucket} holds all of it" in " ".join(run.stderr.split())
    for folder in (copy, bucket):
        made = {name.replace("study", "out", 1): content for name, content in result_of(folder).items()}
        expected = {name: content for name, content in straight.items() if not name.endswith("adapter/README.md")}
        assert {name: made.get(name) for name in expected} == expected, "all but the cards, which a report writes"


@pytest.mark.parametrize(
    ("worker", "problem"),
    [
        (ray_workers.DoomedWorker, r"has ended 3 workers .*memory enough"),
        (ray_workers.OtherVersionWorker, r"on node-7 has transformers 4\.0\.0, .*pip install 'transformers==.*' there"),
        (ray_workers.ApartWorker, r"is not on .* what it is here \(No such file.*all machines share .*out=FOLDER"),
        (ray_workers.UnheardWorker, r"what it is here \(what is written there is not seen here\).*out=FOLDER"),
        (ray_workers.FullDiskWorker, r"No space left on device \(.*\): what was computed is kept; mend it"),
    ],
)
def test_a_worker_that_cannot_work_is_one_line(plan, tmp_path, worker, problem):
    with pytest.raises(SaywhyError, match=problem) as refused:
        spread(plan, tmp_path / "out", worker)
    assert "\n" not in str(refused.value)
    assert not list((tmp_path / "out").glob(".workers-*"))


def test_what_no_machine_has_is_refused(plan, tmp_path):
    with pytest.raises(SaywhyError, match=r"beginning needs cpus: 1, gpus: 7, and no machine of the cluster has that"):
        spread(plan, tmp_path / "out", gpus="7")


def test_a_cluster_that_is_not_there_or_disappears_is_one_line(plan, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(SaywhyError, match=r"Ray cluster \(RAY_ADDRESS=127\.0\.0\.1:1\) .*refused"):
        spread(plan, tmp_path / "out")
    assert not list((tmp_path / "out").glob(".workers-*"))
    monkeypatch.delenv("RAY_ADDRESS")
    study_run = StudyRunner(plan, tmp_path / "out")
    with Crew(plan, tmp_path / "out", with_options({}, {}), 1) as crew:
        crew._process.kill()  # as Ray does with the process that it runs in
        with pytest.raises(SaywhyError, match=r"the Ray cluster has gone.* goes on from there, also without --on ray"):
            SpreadStudy(study_run, crew).run()
