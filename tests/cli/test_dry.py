"""``--dry`` and ``--full``: what would be done, how long it would take, and two ways to say *all of it*."""

import json
import re
from types import SimpleNamespace

import pytest

from moods import PINNED, TASK, TEXTS, audited_toy
from saywhy.attribution import METHODS
from saywhy.checks import CHECKS
from saywhy.cli import dry_run
from saywhy.measure.predict import Classifier
from saywhy.models.local import LocalModel
from saywhy.models.scripted import honest
from saywhy.records import OPERATORS, Example
from saywhy.ruler import run as calibration
from saywhy.ruler.plants import PLANTS
from saywhy.runs import forecast
from saywhy.settings import parse

SMALL = ("rows=4", "calibration_rows=8", "lexicon_rows=40", "steps=3", "samples=20", "plant_rows=16")


def minutes(told):
    """Return the minutes that are told of each stage."""
    return {stage: float(spent) for spent, stage in re.findall(r"about ([\d.]+) min: (.+)", told)}


@pytest.fixture
def nothing_written(monkeypatch, tmp_path):
    """Run in an empty folder; it has to stay empty."""
    monkeypatch.chdir(tmp_path)
    yield
    assert list(tmp_path.iterdir()) == []


def test_the_plan_of_an_attribution_has_a_line_a_method(call, tiny_folder, nothing_written):
    said = call(
        "attribute", f"model={tiny_folder}", f"methods={','.join(METHODS)}", "operators=delete", *SMALL, "--dry"
    )
    assert said.code == 0, said.err
    stages = minutes(said.err)
    names = {name if name in ("gradient_x_input", "integrated_gradients", "lexical", "random") else f"{name}-delete"
             for name in METHODS}  # fmt: skip
    assert set(stages) == {"predict and calibrate", *names}
    assert "texts: 4 scored by 7 methods" in said.err
    assert "min in all, measured on 4 texts here" in said.err
    assert "steps: 3" in said.err
    assert not said.out


def test_the_plan_of_an_audit_has_a_line_a_robustness_check(call, tiny_folder, nothing_written):
    words = ("audit", f"model={tiny_folder}", *SMALL, "settings=one-word,free", "readouts=generated,constrained")
    said = call(*words, "robustness=all", "--dry")
    assert said.code == 0, said.err
    assert [name for name in minutes(said.err) if "=" in name] == [f"robustness={check}" for check in CHECKS]
    assert "not in it" not in said.err
    few = call(*words, "robustness=noise,verbaliser", "--dry")
    assert {name for name in minutes(few.err) if "=" in name} == {"robustness=noise", "robustness=verbaliser"}


def test_a_check_costs_what_it_computes_for_every_text_and_way_to_ask(monkeypatch):
    computed = []

    def two_seconds(compute):
        computed.append(compute())
        return 2.0

    monkeypatch.setattr(forecast, "seconds_of", two_seconds)
    toy, texts = audited_toy(honest)
    corpus = SimpleNamespace(task=toy.task, audited=range(12), calibration=range(10))
    config = parse(["robustness=all"])
    found = forecast.checks_cost(toy, texts, config, corpus, PINNED, 0.5, forecast.seconds_of)
    asked = 12 / 6 * 2.0 + 10 * 0.5
    kinds = dict.fromkeys(("unseen-wording", "noise", "k-curve", "minimality", "rewrite", "wrong-target"), 4.0)
    assert found == {"paraphrases": 2 * asked, "labels-reversed": asked, "verbaliser": asked, **kinds}
    assert len(computed) == 1 + len(kinds)
    assert {type(one).__name__ for lines in computed for one in lines} == {"Judged", "Curve", "Probe"}
    config = parse(["robustness=noise"])
    assert forecast.checks_cost(toy, texts, config, corpus, PINNED, 0.5, forecast.seconds_of) == {"noise": 4.0}


MANY_LABELS = {f"kind{n}": f"{n} of {n + 2}" for n in range(60)}


class Clock:
    """A model that takes a second for each continuation, and finds all alike."""

    seconds = 0

    def choose(self, choices, tick=None):
        self.seconds += sum(len(choice.options) for choice in choices)
        return [(0.0,) * len(choice.options) for choice in choices]


def test_what_all_labels_would_take_is_told_by_a_few(monkeypatch):
    clock, texts = Clock(), [Example(f"t{n}", text) for n, text in enumerate(TEXTS)]

    def seconds_of(compute):
        began = clock.seconds
        compute()
        return float(clock.seconds - began)

    monkeypatch.setattr(forecast, "seconds_of", seconds_of)
    whole = Classifier(
        clock, TASK.model_copy(update={"labels": MANY_LABELS, "verbaliser": None}), dict.fromkeys(MANY_LABELS, 0.0)
    )
    probe = forecast.LabelProbe(whole, texts)
    before = clock.seconds
    expected = probe.seconds_of(lambda: probe.classifier.predict_examples(texts))
    assert clock.seconds - before == len(texts) * forecast.PROBE_LABELS < len(texts) * len(MANY_LABELS)
    assert expected == seconds_of(lambda: whole.predict_examples(texts))


def test_the_plan_of_many_labels_asks_for_all_of_them_a_few_times_only(call, tiny_folder, tmp_path, monkeypatch, jsonl):
    names = [f"{first}{second}" for first in "abcdefgh" for second in "aeiou"]
    task = {"name": "kinds", "question": "Which kind?", "lead_in": "The kind is", "noun": "text"}
    (tmp_path / "kinds.yaml").write_text(json.dumps({**task, "labels": {name: name for name in names}}), "utf-8")
    for split in ("train", "test"):
        jsonl(
            [{"text": f"day {n} {name}x {name}y {split}", "label": name} for n in range(9) for name in names],
            f"{split}.jsonl",
        )
    asked = []

    def recorded(self, choices, tick=None, choose=LocalModel.choose):
        asked.extend(len(choice.options) for choice in choices)
        return choose(self, choices, tick)

    monkeypatch.setattr(LocalModel, "choose", recorded)
    words = (
        f"model={tiny_folder}",
        f"task={tmp_path / 'kinds.yaml'}",
        f"data={tmp_path / 'data'}",
        *SMALL,
        "lexicon_rows=400",
    )
    said = call("audit", *words, "--dry", f"out={tmp_path / 'out'}")
    assert said.code == 0, said.err
    assert {"audit", "decide and calibrate"} <= set(minutes(said.err))
    assert asked.count(len(names)) <= 4 * 5, "calibrated, predicted, rated and compared on four texts"
    assert asked.count(forecast.PROBE_LABELS) > 20


@pytest.mark.parametrize(
    ("setting", "least", "most"),
    [("objective=word", 16, 16), ("objective=dpo", 24, 24), ("anchor=1", 4 * (3 + 1 + 4), 4 * (3 + 2 * (1 + 4)))],
)
def test_the_plan_of_a_run_counts_its_targets_and_all_rows_that_are_practised(
    call, tiny_folder, nothing_written, monkeypatch, setting, least, most
):
    """Of four texts: three styles and a label turn; pairs of three styles; labels of the text and four edited ones."""
    practised = []
    monkeypatch.setattr(forecast.ProbedModel, "training_seconds", lambda self, rows: practised.extend(rows) or 60.0)
    said = call("run", f"model={tiny_folder}", *SMALL, "adapt_rows=4", "train_rows=4", setting, "--dry")
    assert said.code == 0, said.err
    assert {"targets", "train"} <= set(minutes(said.err))
    assert least <= len(practised) <= most


def test_the_plan_of_a_run_counts_the_training_of_adapted_whether_or_not_it_is_audited(
    call, tiny_folder, nothing_written, monkeypatch
):
    monkeypatch.setattr(forecast.ProbedModel, "training_seconds", lambda self, rows: 600.0)
    words = ("run", f"model={tiny_folder}", *SMALL, "train_rows=4", "adapt_rows=8", "--dry")
    trained = {arms: minutes(call(*words, f"arms={arms}").err)["train"] for arms in ("faithful", "adapted,faithful")}
    assert trained["faithful"] == trained["adapted,faithful"] == pytest.approx(600 / 4 / 60 * (8 * 1 + 4 * 2), rel=0.1)


def test_the_plan_of_a_run_counts_what_the_start_judges(call, tiny_folder, nothing_written, monkeypatch):
    judged, real = [], dry_run.judged_by_start
    monkeypatch.setattr(dry_run, "judged_by_start", lambda *words: judged.append(real(*words)))
    monkeypatch.setattr(forecast.ProbedModel, "training_seconds", lambda self, rows: 60.0)
    words = (f"model={tiny_folder}", *SMALL, "settings=one-word,free", "readouts=generated", "--dry")
    assert call("audit", *words).code == 0
    assert not judged, "an audit has no start"
    assert call("run", *words, "train_rows=4", "adapt_rows=8").code == 0
    assert judged
    assert {verdict.setting for verdict in judged[-1]} == {"free"}


def test_the_plan_of_a_calibration_grows_with_its_plants(call, tiny_folder, nothing_written, monkeypatch):
    monkeypatch.setattr("saywhy.runs.forecast.ProbedModel.training_seconds", lambda self, rows: 0.01 * len(rows))
    words = ("calibrate", f"model={tiny_folder}", "methods=occlusion", *SMALL, "plant_rows=16000", "--dry")
    few = call(*words, "plants=keyword")
    many = call(*words, f"plants={','.join(PLANTS)}")
    assert (few.code, many.code) == (0, 0), few.err + many.err
    assert set(minutes(few.err)) == {
        "train",
        "calibrate, check and choose texts",
        "attribution methods",
        "metrics",
        "metrics of sentences",
    }
    training_factor = sum(plant.training_factor for plant in PLANTS.values())
    assert minutes(many.err)["train"] == pytest.approx(training_factor * minutes(few.err)["train"], rel=0.05)
    assert training_factor > len(PLANTS), "rules of two words take more"
    assert "a plant: 16000 texts x 2 to learn it, 8 to calibrate, 200 to check, 4 of 24 to measure" in few.err


def test_a_plan_without_labels_says_what_is_not_in_it(call, tiny_folder, tmp_path):
    rows = [json.dumps({"text": f"a {word} day {n}"}) for n in range(40) for word in ("sad", "great")]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    words = (f"model={tiny_folder}", f"data={tmp_path / 'rows.jsonl'}", *SMALL, "--dry")
    said = call("attribute", *words, "methods=lexical,random")
    assert said.code == 0, said.err
    assert "not in it: lexical" in said.err
    assert set(minutes(said.err)) == {"predict and calibrate", "random"}


@pytest.mark.parametrize("verb", ["run", "audit", "attribute"])
def test_a_plan_for_no_texts_is_one_line(call, tiny_folder, tmp_path, verb):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"text": f"word{n}"}) + "\n" for n in range(40)))
    said = call(verb, f"model={tiny_folder}", f"data={tmp_path / 'rows.jsonl'}", "--dry")
    assert said.code == 2
    assert "can be used: fewer than two words (" in said.problem


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("attribute", "methods=oclusion"), "did you mean 'occlusion'"),
        (("calibrate", "methods=oclusion"), "did you mean 'occlusion'"),
        (("calibrate", "plants=keywrd"), "did you mean 'keyword'"),
        (("calibrate", "full=ture"), "full=ture: it takes true or false"),
        (("attribute", "full=true"), "no setting 'full'"),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_is_tried(call, monkeypatch, words, told):
    monkeypatch.setattr("saywhy.runs.forecast.open_model", None)
    said = call(*words, "--dry")
    assert said.code == 2
    assert told in said.problem


@pytest.mark.parametrize("words", [("--full",), ("full=true",), ("--full", "full=true"), ("full=false", "full=true")])
def test_all_of_it_may_be_said_in_two_ways(call, monkeypatch, words):
    asked = []
    monkeypatch.setattr(calibration, "calibrate_ruler", lambda config, out: asked.append(config))
    monkeypatch.setattr("saywhy.report.show_any_report", lambda folder, **_: folder)
    said = call("calibrate", *words, "operators=delete")
    assert said.code == 0, said.err
    [config] = asked
    assert (config.plants, config.methods, config.operators) == (
        calibration.FULL_CALIBRATION["plants"],
        tuple(METHODS),
        ("delete",),
    )
    call("calibrate", "full=false")
    assert len(asked[1].plants) < len(config.plants)
    assert set(calibration.FULL_CALIBRATION["operators"]) == set(OPERATORS)


def test_help_shows_one_of_them(call):
    told = call("calibrate", "--help").out
    assert "--full" in told
    assert "full=true" not in told
