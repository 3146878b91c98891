"""`saywhy calibrate` from the command to the page: models that follow a planted rule, and one that learned none."""

import csv
import gzip
import io
import json

import pytest
from rich.console import Console

from saywhy.cli.app import main
from saywhy.models.scripted import ScriptedModel, honest
from saywhy.records import SaywhyError
from saywhy.report import calibration as report
from saywhy.report.calibration import Calibration, MeasuredPlant, fooling_explainers, load_calibration, metric_auroc
from saywhy.report.calibration_page import show_calibration, write_calibration
from saywhy.report.calibration_words import metric_verdicts
from saywhy.ruler import run as module
from saywhy.ruler.metrics import METRICS, RULER_EXPLAINERS, MetricScores
from saywhy.ruler.plants import PLANT_LABELS, PLANTS
from saywhy.ruler.run import calibrate_ruler
from saywhy.settings import parse
from saywhy.tasks.task import load_task

SMALL = ("rows=40", "chunk=16", "calibration_rows=8", "methods=occlusion,lexical,random", "operators=redact,delete")


def follows(plant):
    """Return a model that decides by the rule."""

    def rule(text):
        return {label: 3.0 * (label == plant.label(text)) for label in PLANT_LABELS}

    return ScriptedModel("planted", load_task("sentiment140"), rule, honest, {})


@pytest.fixture
def rules(rules_in_sentences, monkeypatch):
    """The same, without explanations in sentences, which take longer than all the rest."""
    monkeypatch.setattr(module, "measure_sentence_explainers", lambda *_: [])
    return rules_in_sentences


@pytest.fixture
def rules_in_sentences(monkeypatch, tiny_folder):
    """Let every plant be learned at once: what is loaded is the rule itself."""
    monkeypatch.setattr(module._RulerRun, "_trained", lambda self, plant, where: plant.name)
    monkeypatch.setattr(module, "open_model", lambda name, *_: follows(PLANTS[name]))
    return f"model={tiny_folder}"


def test_the_ruler_is_told_from_its_fakes(rules, tmp_path):
    folder = calibrate_ruler(parse([rules, "plants=keyword,negation", *SMALL]), tmp_path / "run")
    found = load_calibration(folder)
    assert [one.name for one in found.learned] == ["keyword", "negation"]
    for one in found.learned:
        assert (one.right, one.held_out) == (module.HELD_OUT_TEXTS, module.HELD_OUT_TEXTS)
        assert one.counts["n"] == 40
        assert one.counts["fixed"] > 0 == one.counts["wrong"]
        best = {(line["method"], line["operator"]): [] for line in one.scores}
        for line in one.scores:
            best[line["method"], line["operator"]].append(line["best"] in line["causes"])
        assert all(best["occlusion", "redact"])
        assert all(best["occlusion", "delete"])
        assert sum(best["random", None]) < 20
        for operator in one.operators:
            assert metric_auroc(one.under(operator), "drop").value == 1
            assert fooling_explainers(one.under(operator), "excess") == []
            # Under negation nothing is left to deny once all words are gone: the answer stays.
            assert ("everything" in fooling_explainers(one.under(operator), "hit")) == (one.name == "keyword")
    told = " ".join(metric_verdicts(found))
    assert "excess tells true from false explanations (AUROC 1.00 at worst); no scripted explainer fools it." in told
    assert "fooled by everything" in told


def test_a_metric_that_escapes_under_one_operator_only_is_told_so():
    def metric_scores(operator, everything):
        said = {name: {"drop": 0.0} for name in RULER_EXPLAINERS}
        said = {**said, "honest": {"drop": 3.0}, "everything": {"drop": everything}}
        filled = {name: {**dict.fromkeys(METRICS, 0.0), **one} for name, one in said.items()}
        words = {"teal": filled["honest"], "the": filled["liar"]}
        return [MetricScores(str(text), operator, ("teal",), words, filled) for text in range(20)]

    plant = MeasuredPlant("keyword", 200, 200, {}, (), (*metric_scores("redact", 2.9), *metric_scores("delete", 3.0)))
    drop = next(one for one in metric_verdicts(Calibration({}, (plant,))) if one.startswith("drop"))
    assert drop.endswith("; no scripted explainer fools it under redact; under delete, everything does.")


def test_what_is_there_is_not_computed_again(rules, tmp_path, monkeypatch):
    config = parse([rules, "plants=trigger", *SMALL])
    folder = calibrate_ruler(config, tmp_path / "run")
    before = (folder / "plants/trigger/gauged.jsonl").read_bytes()
    monkeypatch.setattr(module, "measure_metrics", None)
    assert calibrate_ruler(config, tmp_path / "run") == folder
    assert (folder / "plants/trigger/gauged.jsonl").read_bytes() == before


def test_a_folder_of_before_sentences_is_reported_and_gets_them_when_it_goes_on(
    rules_in_sentences, tmp_path, monkeypatch
):
    config = parse([rules_in_sentences, "plants=trigger", *SMALL, "rows=12"])
    folder = calibrate_ruler(config, tmp_path / "run")
    write_calibration(folder)
    fooled = json.loads((folder / "fooled.json").read_text("utf-8"))["fooled_sentences"]
    assert fooled["redact"]["mention AUROC"] == fooled["delete"]["necessity gain"] == []
    records = (folder / "plants/trigger/sentences.jsonl").read_bytes()
    (folder / "plants/trigger/sentences.jsonl").unlink()
    (folder / "checksums.json").unlink()
    (folder / "plants/trigger/sentences.jsonl.gz").write_bytes(gzip.compress(records))
    assert "Sentences" in write_calibration(folder).read_text("utf-8"), "published ones are compressed"
    (folder / "plants/trigger/sentences.jsonl.gz").unlink()
    page = write_calibration(folder)
    assert "Sentences" not in page.read_text("utf-8")
    assert "fooled_sentences" not in json.loads((folder / "fooled.json").read_text("utf-8"))
    monkeypatch.setattr(module, "measure_metrics", None)
    calibrate_ruler(config, tmp_path / "run")
    assert (folder / "plants/trigger/sentences.jsonl").read_bytes() == records


def test_the_page_holds_every_table_and_no_nan(rules_in_sentences, tmp_path):
    config = parse([rules_in_sentences, "plants=keyword,position", *SMALL, "rows=12"])
    folder = calibrate_ruler(config, tmp_path / "run")
    page = write_calibration(folder).read_text("utf-8")
    shown = io.StringIO()
    show_calibration(folder, Console(file=shown, width=140))
    markdown = (folder / "calibration.md").read_text("utf-8")
    for text in (page, shown.getvalue(), markdown):
        sentences = ("Sentences, metrics", "Sentences, scripted explainers", "Sentences: mention AUROC tells true")
        for title in ("Plants", "Attribution methods", "Metrics", "Scripted explainers", *sentences):
            assert title in text
        assert "nan" not in text.lower().replace("nance", "")
    assert page.count("<svg") == 2
    assert page.count("n (texts): 12 keyword and 12 position.") == 2
    rows = list(csv.DictReader((folder / "calibration.csv").read_text("utf-8").splitlines()))
    assert sum(row["setting"] == "one-word" for row in rows) == 2 * 2 * len(METRICS)
    # Under two operators what sets do, under the first one also what does not depend on it.
    assert sum(row["setting"] == "sentences" for row in rows) == 2 * (2 * 8 + 4)
    narrow = io.StringIO()
    show_calibration(folder, Console(file=narrow, width=80))
    plants = narrow.getvalue().split("Follows:")[0]
    assert plants.split()[:9] == ["Plants", "plant", "the", "answer", "is", "follows", "n", "fixed", "wrong"]
    assert max(map(len, narrow.getvalue().splitlines())) <= 80


def test_every_number_is_computed_once(rules, tmp_path, monkeypatch):
    folder = calibrate_ruler(parse([rules, "plants=keyword,negation", *SMALL, "rows=10"]), tmp_path / "run")
    calls = []
    for real in (metric_auroc, fooling_explainers):
        monkeypatch.setattr(report, real.__name__, lambda *args, real=real: calls.append(args) or real(*args))
    write_calibration(folder)
    assert len(calls) == 2 * 2 * 2 * len(METRICS)
    told = json.loads((folder / "fooled.json").read_text("utf-8"))
    assert told["plants"] == ["keyword", "negation"]
    # On one plant is enough: under negation, nothing is left to deny once all words are gone.
    assert told["fooled"]["redact"]["hit"] == ["everything"]
    assert told["fooled"]["delete"]["excess"] == []
    rows = list(csv.DictReader((folder / "calibration.csv").read_text("utf-8").splitlines()))
    assert {row["fooled_by"] for row in rows if row["metric"] == "excess"} == {""}
    assert "everything (keyword)" in (folder / "calibration.md").read_text("utf-8")


def test_a_plant_that_is_not_learned_is_said_and_left_out(tmp_path, tiny_folder, capsys, monkeypatch):
    words = [
        f"model={tiny_folder}",
        "plants=keyword",
        "plant_rows=8",
        "plant_epochs=1",
        *SMALL,
        f"out={tmp_path / 'run'}",
    ]
    monkeypatch.setattr("sys.argv", ["saywhy", "calibrate", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    told = capsys.readouterr().err
    assert stop.value.code == 2
    assert "plant keyword failed: the model follows it on" in told
    assert "no plant was learned to 98%" in told
    followed = json.loads((tmp_path / "run/plants/keyword/followed.json").read_text())
    assert followed["n"] == module.HELD_OUT_TEXTS


@pytest.mark.parametrize(
    ("word", "line"),
    [("plants=keywrd", "no plant.*did you mean 'keyword'"), ("methods=oclusion", "did you mean 'occlusion'")],
)
def test_what_does_not_exist_is_refused_before_anything_runs(tmp_path, word, line):
    with pytest.raises(SaywhyError, match=line):
        calibrate_ruler(parse([word]), tmp_path / "run")
    assert not (tmp_path / "run").exists()
