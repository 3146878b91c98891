"""What can go wrong around a study: one line, exit code 2, and what was computed is used by the next try."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import saywhy
import tiny
from problems import fill_disk
from saywhy.folders import store
from saywhy.folders.checksums import CHECKSUMS_FILE
from saywhy.folders.store import write_json
from saywhy.models import shipped, spec
from saywhy.records import SaywhyError
from saywhy.study.plan import StudyPlan
from saywhy.study.read import read_plan
from saywhy.study.run import StudyRunner
from saywhy.words import CANDIDATES_RULE

CATALOG_TASK = Path(saywhy.__file__).parent / "catalog" / "sentiment140.yaml"
PLAN = {
    "name": "tiny",
    "tasks": ["sentiment140"],
    "instruction_rows": 0,
    "with": {
        **{"rows": 3, "adapt_rows": 2, "train_rows": 2, "decide_rows": 2, "calibration_rows": 2},
        **{"most_words": 9, "chunk": 1, "pinned_words": 2},
    },
    "blocks": [{"name": "start", "arms": ["base"], "test_tasks": ["sentiment140"]}],
}


@pytest.fixture
def told(tiny_folder, tmp_path):
    """Return a function that writes a study file with some entries changed."""

    def write(**changes):
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump({**PLAN, "model": str(tiny_folder), **changes}), "utf-8")
        return path

    return write


def tweets(folder):
    """Write made-up texts for every split, and instructions beside them."""
    for split in ("train", "validation", "test"):
        rows = [
            {"text": f"{split} number {at} was {mood} today", "label": label}
            for at, (mood, label) in enumerate([("lovely", "positive"), ("dreary", "negative")] * 20)
        ]
        store.write_lines(folder / "sentiment140" / f"{split}.jsonl", rows)
        turns = [{"role": "user", "content": "Name a colour."}, {"role": "assistant", "content": "Blue."}]
        store.write_lines(folder / "replay" / f"{split}.jsonl", [{"messages": turns}] * 4)
    return folder


def test_data_that_is_missing_is_one_line_and_its_place_may_be_mended(call, told, tmp_path):
    file, out = told(data=str(tmp_path / "nowhere")), f"out={tmp_path / 'out'}"
    said = call("study", str(file), out)
    assert said.code == 2
    assert f"{tmp_path / 'nowhere' / 'sentiment140'}" in said.problem
    assert "no such file or folder" in said.problem
    mended = call("study", str(file), out, f"data={tweets(tmp_path / 'here')}")
    assert mended.code == 0, mended.err
    moved = (tmp_path / "here").rename(tmp_path / "there")
    before = (tmp_path / "out/tasks/sentiment140/seed-0/base/rows.jsonl").stat().st_mtime_ns
    assert call("study", str(file), out, f"data={moved}").code == 0, "the same texts, elsewhere"
    assert (tmp_path / "out/tasks/sentiment140/seed-0/base/rows.jsonl").stat().st_mtime_ns == before


def test_a_study_that_was_killed_while_it_was_begun_goes_on(call, told, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".study.json.0123.part").write_text("{")
    begun = call("study", str(told()), f"out={tmp_path / 'out'}")
    assert begun.code == 0, begun.err


def test_other_texts_in_the_place_of_the_old_ones_are_refused(call, told, tmp_path):
    data = tweets(tmp_path / "data")
    file, out = told(data=str(data)), f"out={tmp_path / 'out'}"
    StudyRunner(read_plan(file), tmp_path / "out").costs()
    test = data / "sentiment140" / "test.jsonl"
    test.write_text(test.read_text("utf-8").replace("lovely", "splendid"), "utf-8")
    said = call("study", str(file), out)
    assert said.code == 2
    assert "holds another run (rows: " in said.problem


def test_files_below_the_data_folder_move_with_it(tmp_path, told):
    data = tweets(tmp_path / "elsewhere")
    file = told(data="../texts", **{"with": {**PLAN["with"], "replay": "../texts/replay/train.jsonl"}})
    moved = read_plan(file, {"data": str(data)})
    assert moved.with_["replay"] == "../texts/replay/train.jsonl", "what is frozen names no machine's folder"
    grid = StudyRunner(moved, tmp_path / "out")
    assert grid.models._replay, "read from where the data is now"
    assert read_plan(file).located("/texts/replay/train.jsonl") == "/texts/replay/train.jsonl"


def test_a_hub_that_cannot_be_reached_is_one_line(call, told, tmp_path):
    said = call("study", str(told(data="hub")), f"out={tmp_path / 'out'}")
    assert said.code == 2
    assert said.problem.startswith("hub data ")
    assert said.problem.endswith("pass data=FOLDER_OR_FILE instead")


def test_an_adapter_of_another_base_is_refused(call, told, tiny_folder, tmp_path):
    write_json(tmp_path / "adapter" / "adapter_config.json", {"base_model_name_or_path": str(tiny_folder)})
    write_json(tmp_path / "adapter" / shipped.ADAPTER_MANIFEST, {"base": {"fingerprint": "sha256:0123456789abcdef"}})
    said = call("study", str(told(model=str(tmp_path / "adapter"))), f"out={tmp_path / 'out'}")
    assert said.code == 2
    assert "was trained on another base (sha256:0123456789abcdef)" in said.problem


def test_a_study_edited_after_its_start_is_one_line(call, told, tmp_path):
    out = f"out={tmp_path / 'out'}"
    StudyRunner(read_plan(told()), tmp_path / "out")
    said = call("study", str(told(**{"with": {**PLAN["with"], "rows": 4}})), out)
    assert said.code == 2
    assert "the file was changed after its start (with: " in said.problem


def test_a_study_with_other_candidates_is_one_line_and_stays_as_it_is(call, told, tmp_path):
    file, out = told(), tmp_path / "out"
    assert call("study", str(file), f"out={out}").code == 0
    manifest = json.loads((out / "study.json").read_text("utf-8"))
    assert manifest.pop("candidates_rule") == CANDIDATES_RULE
    for newer in (CHECKSUMS_FILE, ".study.json.copy"):
        (out / newer).unlink()
    write_json(out / "study.json", manifest)  # as a version before the rule wrote it
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    said = call("study", str(file), f"out={out}")
    assert said.code == 2
    assert f"{out} was begun with candidates of rule 1, this saywhy goes on by rule {CANDIDATES_RULE}" in said.problem
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert call("report", str(out)).code == 0


@pytest.mark.parametrize("fails_at", [1, 9])
def test_a_full_disk_is_one_line_and_the_next_try_goes_on(call, told, tmp_path, monkeypatch, fails_at):
    file, full, straight = told(), tmp_path / "full", tmp_path / "straight"
    assert call("study", str(file), f"out={straight}").code == 0
    free = fill_disk(monkeypatch, fails_at)
    said = call("study", str(file), f"out={full}")
    assert said.code == 2
    assert said.problem.startswith("No space left on device")
    free()
    again = call("study", str(file), f"out={full}")
    assert again.code == 0, again.err
    rows = "tasks/sentiment140/seed-0/base/rows.jsonl"
    assert (full / rows).read_text("utf-8") == (straight / rows).read_text("utf-8")


@pytest.mark.parametrize("text", ["{}", "[]", '{"plan": 3, "seconds": {}}', "{"])
def test_a_damaged_manifest_is_one_line(call, told, tmp_path, text):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "study.json").write_text(text, "utf-8")
    said = call("study", str(told()), f"out={tmp_path / 'out'}")
    assert said.code == 2
    assert "study.json" in said.problem


def test_a_bank_is_not_gone_on_with(call, told, tmp_path):
    plan = read_plan(told())
    write_json(tmp_path / "bank" / "study.json", {"bank": 1, "plan": plan.resolved(), "seconds": {}})
    before = (tmp_path / "bank" / "study.json").read_bytes()
    said = call("study", str(told()), f"out={tmp_path / 'bank'}")
    assert said.code == 2
    assert "is a released bank: say beside=" in said.problem
    assert (tmp_path / "bank" / "study.json").read_bytes() == before


def test_an_audit_that_was_begun_is_not_asked_for_more(told, tmp_path):
    """Chunks that are there lack what the new block asks for: merged with later ones, it would have fewer texts."""
    plan, out = read_plan(told()), tmp_path / "out"
    StudyRunner(plan, out).member("sentiment140")
    spoken = {"name": "spoken", "arms": ["base"], "test_tasks": ["sentiment140"], "readouts": ["generated"]}
    more = StudyPlan(**{**plan.resolved(), "blocks": [*PLAN["blocks"], spoken]})
    StudyRunner(more, out)  # nothing is asked of base yet
    write_json(out / "tasks/sentiment140/seed-0/base/.rows-parts/00000.json", {"rows": []})
    with pytest.raises(SaywhyError, match="base is audited on sentiment140 already, and a new block asks more of it"):
        StudyRunner(more, out)


STUDY = """
import sys
from pathlib import Path
from saywhy.models import spec
real = spec.read_weights
spec._packaged = lambda: __import__("pathlib").Path(sys.argv[1]) / "model.safetensors"
spec._SHA256 = __import__("hashlib").sha256(spec._packaged().read_bytes()).hexdigest()
spec.read_weights = lambda of, dtype=None: real(spec.ModelSpec("tiny", sys.argv[1], "tiny"))
from pathlib import Path
from saywhy.study.command import run_study
run_study(Path(sys.argv[2]), [f"out={sys.argv[3]}", f"model={spec.DEFAULT_MODEL}"])
"""


@pytest.mark.slow
def test_two_studies_share_one_cache_at_the_same_time(told, tmp_path):
    model, file = tiny.save(tmp_path / "model"), told()
    shared = {**os.environ, "SAYWHY_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    outs = [tmp_path / name for name in ("one", "two")]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", STUDY, str(model), str(file), str(out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=shared,
        )
        for out in outs
    ]
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    rows = [(out / "tasks/sentiment140/seed-0/base/rows.jsonl").read_text("utf-8") for out in outs]
    assert rows[0] == rows[1]
    assert len(rows[0].splitlines()) == 9
    assert len(list((tmp_path / "cache").glob(f"{spec.DEFAULT_MODEL}-*"))) == 1, "the weights are there once"
    assert json.loads((outs[0] / "study.json").read_text("utf-8"))["model"]["name"] == spec.DEFAULT_MODEL


@pytest.mark.parametrize("name", ["..", ".", ".hidden", "a/b"])
def test_a_study_whose_name_leads_elsewhere_is_refused(call, told, tmp_path, monkeypatch, name):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    answer = call("study", str(told(name=name)))
    assert answer.code == 2
    assert "name" in answer.problem
    assert not list((tmp_path / "here").iterdir())


def test_a_task_file_whose_name_is_none_of_a_folder_is_refused(call, told, tmp_path):
    shutil.copyfile(CATALOG_TASK, tmp_path / "...yaml")
    task = str(tmp_path / "...yaml")
    block = {"name": "start", "arms": ["base"], "test_tasks": [task]}
    answer = call("study", str(told(tasks=[task], blocks=[block])), f"out={tmp_path / 'out'}")
    assert answer.code == 2
    assert "would be called '..', which is no name of a folder" in answer.problem
    assert not (tmp_path / "out").exists()


PRACTISED = [{"name": "main", "arms": ["faithful"]}]
LARGER = {"name": "larger", "arms": ["faithful"], "variant": "larger", "with": {"train_rows": 5000}}


@pytest.mark.parametrize("words", [[], ["--dry"]], ids=["run", "dry"])
@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"blocks": [*PRACTISED, LARGER]}, "train_rows=5000: "),
        ({"blocks": PRACTISED, "with": {**PLAN["with"], "heldout_rows": 5000}}, "heldout_rows=5000: "),
    ],
    ids=["a block's texts", "held-out texts"],
)
def test_practice_on_more_texts_than_there_are_begins_no_study(call, told, tmp_path, changes, line, words):
    out = tmp_path / "out"
    said = call("study", str(told(data=str(tweets(tmp_path / "texts")), **changes)), f"out={out}", *words)
    assert said.code == 2
    assert said.problem.startswith(line)
    assert "\n" not in said.problem
    assert not (out / "study.json").exists()
    mended = told(data=str(tmp_path / "texts"), blocks=PRACTISED)
    assert call("study", str(mended), f"out={out}", "--dry").code == 0


def test_a_task_with_fewer_texts_than_another_practises_all_that_it_has(call, told, tmp_path):
    data = tweets(tmp_path / "texts")
    for split in ("train", "validation", "test"):
        topics = [
            ("World", "war treaty"),
            ("Sports", "match goal"),
            ("Business", "bank shares"),
            ("Sci/Tech", "chip probe"),
        ]
        rows = [{"text": f"{split} {words} {at}", "label": label} for at in range(100) for label, words in topics]
        store.write_lines(data / "ag_news" / f"{split}.jsonl", rows)
    plan = {"data": str(data), "tasks": ["sentiment140", "ag_news"], "blocks": PRACTISED}
    settings = {**PLAN["with"], "train_rows": 60, "adapt_labels": "formats"}
    said = call("study", str(told(**plan, **{"with": settings})), f"out={tmp_path / 'out'}", "--dry")
    assert said.code == 0, said.err
    assert "here all of them are practised" in " ".join(said.err.split())
    said = call("study", str(told(**plan, **{"with": {**settings, "train_rows": 6000}})), f"out={tmp_path / 'out'}")
    assert (said.code, said.problem.startswith("train_rows=6000: ")) == (2, True)


def test_an_anchor_on_a_task_of_many_labels_begins_no_study(call, told, tmp_path):
    data = tweets(tmp_path / "texts")
    labels = "".join(f"  {chr(97 + number)}x: word {chr(97 + number)}\n" for number in range(25))
    task = tmp_path / "moods.yaml"
    task.write_text(
        f"name: moods\nquestion: Which mood?\nlead_in: It is\ntext: text\nlabel: label\nlabels:\n{labels}", "utf-8"
    )
    for split in ("train", "validation", "test"):
        rows = [{"text": f"{split} number {at} it was", "label": f"{chr(97 + at % 25)}x"} for at in range(75)]
        store.write_lines(data / "moods" / f"{split}.jsonl", rows)
    settings = {"blocks": PRACTISED, "tasks": [str(task)], "data": str(data)}
    said = call("study", str(told(**settings, **{"with": {**PLAN["with"], "anchor": 1.0}})), f"out={tmp_path / 'out'}")
    assert said.code == 2
    assert "task 'moods' has 25 labels" in said.problem
    assert not (tmp_path / "out" / "study.json").exists()
