"""saywhy confidence: fitted on a finished audit, kept beside it for who explains with that model."""

import json
import shutil
from functools import partial

import pytest

import tiny
from saywhy.bank.release import release_bank
from saywhy.folders.checksums import CHECKSUMS_FILE
from saywhy.folders.store import read_lines, write_json, write_lines
from saywhy.measure.calibration import calibration_key
from saywhy.models.spec import resolve_model
from saywhy.stats.confidence import ConfidenceFeatures, ConfidenceModel
from saywhy.tasks.task import load_task
from written_runs import write_known, write_run

MODEL = {"name": "some/model", "fingerprint": "sha256:aa", "adapter": "sha256:bb", "template": "sha256:cc"}
TASK = {"name": "tweets", "question": "Good or bad?", "lead_in": "It is", "labels": {"good": "good", "bad": "bad"}}


def describe(folder, **changes):
    """Have the manifest of a written run say what one that was made says."""
    manifest = json.loads((folder / "run.json").read_text("utf-8"))
    made = {"model": MODEL, "task": TASK, "prompts": {"version": "4"}}
    write_json(folder / "run.json", manifest | made | changes)
    return folder


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    return describe(write_known(tmp_path_factory.mktemp("audited") / "run", 200, ("audited",), ("audited",)))


def test_a_confidence_is_fitted_said_and_kept(audited, call):
    ended = call("confidence", audited, "share=0.8", "delta=0.1")
    assert ended.code == 0, ended.err
    said = ended.out + ended.err
    assert "audited, attribution, one-word, constrained readout, operator redact: 200 texts" in said
    assert "AUROC 1.00" in said
    assert "so that 80% of the shown reasons hold, with probability 90%: show those of confidence" in said
    kept = json.loads((audited / "confidence.json").read_text("utf-8"))
    assert (kept["task"], kept["style"], kept["readout"]) == ("tweets", "attribution", "constrained")
    assert kept["belongs"]["weights"] == "sha256:bb"  # the adapter's
    assert kept["belongs"]["template"] == "sha256:cc"
    assert kept["belongs"]["prompts"] == "4"
    assert (kept["share"], kept["delta"], kept["texts"]) == (0.8, 0.1, 200)
    model = ConfidenceModel.from_dict(kept["model"])
    assert not model.weighs_agreement  # who explains asks for one style
    sure, unsure = (model.probability(ConfidenceFeatures(value, 1.0, 6)) for value in (-1.0, -3.0))
    assert unsure < kept["threshold"] <= sure
    assert model.decisions_like(sure).low > model.decisions_like(unsure).high
    first = (audited / "confidence.json").read_bytes()
    call("confidence", audited, "share=0.8", "delta=0.1")
    assert (audited / "confidence.json").read_bytes() == first


def test_where_nothing_is_known_nothing_is_shown(tmp_path, call):
    folder = describe(write_known(tmp_path / "run", 200, ("audited",), knows=()))
    ended = call("confidence", folder)
    assert ended.code == 0, ended.err
    assert "show none without a recheck" in ended.out + ended.err
    kept = json.loads((folder / "confidence.json").read_text("utf-8"))
    assert (kept["threshold"], kept["coverage"]) == (None, 0.0)


def test_guided_replies_count_where_there_are_any(audited, tmp_path, call):
    folder = tmp_path / "run"
    shutil.copytree(audited, folder)
    place = folder / "seed-0" / "audited" / "rows.jsonl"
    rows = list(read_lines(place))
    write_lines(place, rows + [{**row, "readout": "guided"} for row in rows if row["readout"] == "constrained"])
    assert "guided readout" in (said := call("confidence", folder)).out + said.err


def test_a_bank_tells_the_same(audited, tmp_path, call):
    bank = release_bank(audited, tmp_path / "bank")
    for folder in (audited, bank):
        assert call("confidence", folder).code == 0
    kept, of_bank = (json.loads((folder / "confidence.json").read_text("utf-8")) for folder in (audited, bank))
    assert of_bank == kept


def changed_rows(folder, change):
    place = folder / "seed-0" / "audited" / "rows.jsonl"
    write_lines(place, [row for row in map(change, list(read_lines(place))) if row])


TROUBLES = {
    "all hold": (lambda row: {**row, "hit": True, "floor": 0.2}, "does not hold in 0 of 200 texts"),
    "none holds": (lambda row: {**row, "hit": False}, "holds in 0 of 200 texts"),
    "free only": (lambda row: {**row, "setting": "free", "log_probability": None}, "readouts=constrained"),
    "older": (lambda row: {**row, "log_probability": None}, "by this version"),
    "another style": (lambda row: row if row["style"] == "redaction" else None, "styles=attribution"),
    "another operator": (lambda row: {**row, "operator": "delete"}, "operator redact"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_cannot_be_fitted_is_one_line(trouble, audited, tmp_path, call):
    change, problem = TROUBLES[trouble]
    folder = tmp_path / "run"
    shutil.copytree(audited, folder)
    (folder / "confidence.json").unlink(missing_ok=True)
    changed_rows(folder, change)
    ended = call("confidence", folder)
    assert ended.code == 2
    assert problem in ended.problem
    assert len(ended.err.strip().splitlines()) == 1
    assert not (folder / "confidence.json").exists()


def test_other_folders_and_words_are_one_line(audited, tmp_path, call):
    arms = describe(write_run(tmp_path / "arms", arms=("base", "faithful"), n=3))
    few = describe(write_known(tmp_path / "few", 30, ("audited",)))
    begun = describe(write_known(tmp_path / "begun", 50, ("audited",)))
    shutil.rmtree(begun / "seed-0")
    unsaid = describe(write_known(tmp_path / "unsaid", 50, ("audited",)), model={"name": "some/model"})
    no_task = describe(write_known(tmp_path / "task", 50, ("audited",)), task={"name": "tweets"})
    for words, problem in (
        ((tmp_path / "nowhere",), "is no run"),
        ((few,), "30 texts with a known log-probability, 40 are needed"),
        ((begun,), "no finished audit"),
        ((arms,), "has 2 arms"),
        ((unsaid,), "audit the model again"),
        ((no_task,), "describes no task"),
        ((audited, "shares=0.9"), "did you mean 'share'"),
        ((audited, "share=most"), "a number between 0 and 1"),
        ((audited, "share=90"), "a number between 0 and 1"),
        ((audited, "delta=0"), "a number between 0 and 1"),
        ((audited, "delta=nan"), "a number between 0 and 1"),
        ((audited, "0.9"), "it takes share=0.9"),
    ):
        ended = call("confidence", *words)
        assert ended.code == 2
        assert problem in ended.problem, (words, ended.err)


def test_it_belongs_to_the_model_that_was_audited(tmp_path, tiny_folder, jsonl, call):
    """A real audit of a tiny model: what its confidence belongs to is what an explainer of that model asks for."""
    for split in ("train", "validation", "test"):
        rows = [
            {"text": f"{text} {split} {number}", "label": label}
            for number in range(40)
            for text, label in zip(tiny.TEXTS, ("positive", "negative", "negative"), strict=True)
        ]
        data = jsonl(rows, f"{split}.jsonl").parent
    run = tmp_path / "run"
    words = (f"model={tiny_folder}", f"data={data}", "task=sst2", "styles=attribution", "readouts=constrained",
             "calibration_rows=4", "lexicon_rows=60", "decide_rows=2", "rows=44", f"out={run}")  # fmt: skip
    ended = call("audit", *words)
    assert ended.code == 0, ended.err
    # A random model has few reasons that hold; some are made to.
    changed_rows(run, lambda row: {**row, "hit": int(row["id"], 16) % 2 == 0, "floor": 0.1})
    (run / CHECKSUMS_FILE).unlink()
    ended = call("confidence", run)
    assert ended.code == 0, ended.err
    kept = json.loads((run / "confidence.json").read_text("utf-8"))
    assert kept["belongs"] == calibration_key(resolve_model(str(tiny_folder)), load_task("sst2"))
    assert kept["constants"] == json.loads((run / "seed-0" / "audited" / "constants.json").read_text("utf-8"))
    write_json(run / "confidence.json", {**kept, "threshold": 0.0})
    explain = partial(
        call, "explain", "a great sad day", *(word for word in words[:3]), "--json", "effort=self", f"confidence={run}"
    )
    for settings, problem, is_shown in (
        (("calibration_rows=4", "lexicon_rows=60"), "", True),
        (("calibration=none",), "calibrated otherwise (constants up to ", False),
        (("calibration_rows=40", "lexicon_rows=60"), "calibrated otherwise (constants up to ", False),
    ):
        ended = explain(*settings)
        assert ended.code == 0, ended.err
        assert (f"the confidence of {run} was fitted on answers that were {problem}" in ended.err) == bool(problem)
        assert json.loads(ended.out)["confidence"]["shown"] == is_shown
    del kept["constants"]
    write_json(run / "confidence.json", {**kept, "threshold": 0.0})
    ended = explain("calibration_rows=4", "lexicon_rows=60")
    assert f"the confidence of {run} does not say by which calibration constants" in ended.err
    assert not json.loads(ended.out)["confidence"]["shown"]


def test_constants_that_are_none_are_one_line(audited, tmp_path, call):
    folder = tmp_path / "run"
    shutil.copytree(audited, folder)
    write_json(folder / "seed-0" / "audited" / "constants.json", {"good": "a lot", "bad": 0.0})
    ended = call("confidence", folder)
    assert (ended.code, "constants.json is damaged" in ended.problem) == (2, True)
    write_json(folder / "seed-0" / "audited" / "constants.json", {"good": 0.25, "bad": -0.5})
    assert call("confidence", folder).code == 0
    kept = json.loads((folder / "confidence.json").read_text("utf-8"))
    assert kept["constants"] == {"good": 0.25, "bad": -0.5}
