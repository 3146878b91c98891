"""The model card of an adapter: the hub can read its front matter, and its numbers are the report's."""

import csv
import io
import json
import re
import shutil

import pytest
import yaml

from saywhy.folders.store import write_json, write_lines
from saywhy.records import SaywhyError
from saywhy.report import write_report
from saywhy.report.card import card_sheet, contrast_with_control, unusual_row_settings, write_card, write_cards
from saywhy.report.format import number
from saywhy.report.gate import gate_of
from saywhy.report.load import load_run
from saywhy.report.provenance import training_row_counts
from saywhy.report.summary import summarise
from written_runs import write_run

RECIPE = {"rate": 0.001, "epochs": 2, "rank": 16, "decision_weight": 10.0}
BASE = {"id": "HuggingFaceTB/SmolLM2-135M-Instruct", "fingerprint": "gguf:b179", "note": "Q4_1, dequantised"}


def adapter_of(folder, seed, arm, *, peft=True, base=None):
    """Write what stands beside the weights of an arm."""
    place = folder / f"seed-{seed}" / arm
    told = {"base": base or BASE, "recipe": RECIPE, "tasks": {"tweets": {"constants": {}, "pinned": {}}}}
    write_json(place / "adapter" / "saywhy.json", told)
    if peft:
        write_json(place / "adapter" / "adapter_config.json", {"base_model_name_or_path": BASE["id"]})
    styles = ["label", "attribution", "attribution", "replay"]
    write_lines(place / "training.jsonl", [{"id": str(at), "style": style} for at, style in enumerate(styles)])
    return place / "adapter"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = write_run(tmp_path_factory.mktemp("run"), arms=("base", "adapted", "faithful", "random"), n=12)
    for seed in (0, 1):
        for arm in ("adapted", "faithful", "random"):
            adapter_of(folder, seed, arm)
    write_report(folder, cards=True)
    return folder


def facts(folder, **more):
    """Change what run.json says."""
    told = json.loads((folder / "run.json").read_text("utf-8"))
    write_json(folder / "run.json", told | more)


def front(card):
    """The front matter of a card, and the rest."""
    match = re.fullmatch(r"---\n(.*?)\n---\n(.*)", card.read_text("utf-8"), re.S)
    return yaml.safe_load(match[1]), match[2]


def cells(text):
    """The first table of numbers of a card, line by line."""
    lines = [line for line in text.split("\n") if re.match(r"\| (style|attribution|redaction|counterfactual) ", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize(
    ("objective", "beta", "stated"),
    [("word", None, set()), ("table", None, {"tau", "word share"}), ("table", 0.1, {"beta", "word share"})],
)
def test_the_recipe_states_no_setting_that_its_objective_ignores(run, tmp_path, objective, beta, stated):
    folder = shutil.copytree(run, tmp_path / "run")
    facts(folder, config={"target_operators": ["redact", "delete"], "objective": objective})
    manifest = folder / "seed-0" / "faithful" / "adapter" / "saywhy.json"
    recipe = RECIPE | {"objective": objective, "tau": 0.3, "word_share": 0.3, "beta": beta, "lora_r": 16}
    write_json(manifest, json.loads(manifest.read_text("utf-8")) | {"recipe": recipe})
    text = write_card(manifest.parent, [summarise(load_run(folder))], "faithful").read_text("utf-8")
    lines = set(re.findall(r"^- ([a-z ]+): ", text, re.M))
    assert lines & {"tau", "beta", "word share"} == stated
    assert ("target operators" in lines) == (objective == "table")
    assert {"objective", "lora r", "decision weight"} <= lines
    facts(folder, config={"target_operators": ["redact"], "objective": objective})
    assert not unusual_row_settings(load_run(folder).manifest), "a list of JSON is the tuple of the default"


@pytest.mark.parametrize("objective", ["of-tomorrow", None, ["word"]])
def test_a_recipe_of_an_objective_that_is_not_known_is_stated_whole(run, tmp_path, objective):
    folder = shutil.copytree(run, tmp_path / "run")
    manifest = folder / "seed-0" / "faithful" / "adapter" / "saywhy.json"
    recipe = RECIPE | {"objective": objective, "tau": 0.3}
    write_json(manifest, json.loads(manifest.read_text("utf-8")) | {"recipe": recipe})
    assert "- tau: 0.3" in write_card(manifest.parent, [summarise(load_run(folder))], "faithful").read_text("utf-8")


def test_every_adapter_of_a_run_has_a_card_that_the_hub_can_read(run):
    cards = sorted(run.glob("seed-*/*/adapter/README.md"))
    assert len(cards) == 6
    for card in cards:
        told, text = front(card)
        assert told["base_model"] == BASE["id"]
        assert told["base_model_relation"] == "adapter"
        assert told["library_name"] == "peft"
        assert told["language"] == ["en"]
        assert told["license"] == "other"
        assert {"saywhy", "lora", card.parent.parent.name} <= set(told["tags"])
        assert "gguf:b179" in text
        assert "AutoPeftModelForCausalLM.from_pretrained" in text
        assert "saywhy audit model=" in text
        assert "- rows: 2 attribution, 1 label, 1 replay" in text
        assert "- decision weight: 10.0" in text
        assert ("do not use it" in text) == (card.parent.parent.name == "random")
        assert not re.search(r"\bnan\b|None|\{\{|\n\n\n\n", text)
        assert str(run) not in text


def test_what_is_unusual_in_the_rows_is_told(tmp_path):
    assert unusual_row_settings({"config": {"stay_weight": 0.2, "verified": False, "rate": 0.1}}) == {
        "stay_weight": 0.2
    }
    rows = (
        {"style": "redaction"},
        {"style": "redaction", "copied": 0.0, "share": 0.2},
        {"style": "label", "share": 0.9},
    )
    (tmp_path / "training.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    told = training_row_counts(tmp_path / "training.jsonl")
    assert told == "1 label (own probabilities), 1 redaction, 1 redaction (words that stay)"


def test_the_numbers_are_those_of_the_report(run):
    summary = summarise(load_run(run))
    header, *rows = cells(front(run / "seed-0" / "faithful" / "adapter" / "README.md")[1])
    assert header[:4] == ["style", "setting", "readout", "n"]
    assert "over random" in header
    table = {
        (line["style"], line["readout"]): line
        for line in csv.DictReader(io.StringIO((run / "table.csv").read_text("utf-8")))
        if line["arm"] == "faithful"
    }
    contrasts = {
        (line["style"], line["readout"]): line
        for line in csv.DictReader(io.StringIO((run / "contrasts.csv").read_text("utf-8")))
        if line["other"] == "random"
    }
    assert len(rows) == 6

    def shown(line, name):
        low, value, high = (number(float(line[key])) for key in (f"{name}_low", name, f"{name}_high"))
        return f"{value} [{low}, {high}]"

    for row in rows:
        told = {name.removesuffix(" §"): cell.removesuffix(" †") for name, cell in zip(header, row, strict=True)}
        assert told["style"] != row[0]  # graded with the operator that found the arm's training targets
        line = table[told["style"], told["readout"]]
        assert told["n"] == line["rows"]
        for name in ("hit", "excess", "score", "effect share"):
            assert told[name].replace("‡", "") == shown(line, name.replace(" ", "_"))
        for name in ("floor", "ceiling"):
            assert told[name] == number(float(line[name]))
        if told["readout"] == "generated":
            assert told["valid"] == shown(line, "validity")
        assert told["over random"] == shown(contrasts[told["style"], told["readout"]], "difference")
    key = next(cell.key for cell in summary.cells if cell.key.arm == "faithful")
    assert contrast_with_control(summary, key, "random") == next(
        one for one in summary.contrasts if (one.key, one.rival) == (key, "random")
    )


def test_a_control_that_the_report_does_not_pair_is_compared_all_the_same(run):
    summary = summarise(load_run(run))
    key = next(cell.key for cell in summary.cells if cell.key.arm == "random")
    reversed_contrast = contrast_with_control(summary, key, "faithful")
    mirror = next(one for one in summary.contrasts if one.rival == "random" and one.key.style == key.style
                  and one.key.readout == key.readout)  # fmt: skip
    for name in ("difference", "effect_share", "effect_share_start"):
        assert getattr(reversed_contrast, name).value == pytest.approx(-getattr(mirror, name).value)
    assert reversed_contrast.p_holm is None
    assert contrast_with_control(summary, key, "nobody") is None
    assert "over faithful" in card_sheet(summary, "random", "faithful").header
    assert "over a control" not in card_sheet(summary, "random").header
    assert "Over faithful: paired" in card_sheet(summary, "random", "faithful").note
    assert "Over lexical" not in card_sheet(summary, "random", "lexical").note, "planned, but never measured"


def test_what_was_not_measured_is_said(run, tmp_path):
    bare = shutil.copytree(run, tmp_path / "bare", ignore=shutil.ignore_patterns("*.jsonl", "README.md"))
    [*cards] = write_cards(summarise(load_run(bare)))
    told, text = front(cards[0])
    assert told["base_model"] == BASE["id"]
    assert "**Not measured.**" in text
    assert "Not measured: accuracy" in text
    assert "Not measured: loss on instruction data" in text
    assert "excess" not in text
    assert "- rows:" not in text
    with pytest.raises(SaywhyError, match=r"has no saywhy\.json"):
        write_card(tmp_path, [summarise(load_run(bare))], "faithful")


def test_what_was_kept_and_the_gate(run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "run")
    losses = {"adapted": [2.0, 3.0, 4.0], "faithful": [2.5, 3.5, 4.5]}
    for arm, values in losses.items():
        plain = [True, True, arm == "adapted"]
        told = {
            "replay": {"n": 3, "ids": ["a", "b", "c"], "losses": values},
            "plain": {"n": 3, "asked": ["x", "y", "z"], "plain": plain, "reasons": [None, None, None]},
        }
        write_json(folder / "seed-0" / arm / "retention.json", told)
    summary = summarise(load_run(folder))
    write_cards(summary)
    text = front(folder / "seed-0" / "faithful" / "adapter" / "README.md")[1]
    kept = next(one for one in summary.retention if one.arm == "faithful")
    assert f"Accuracy {number(kept.accuracy.value)} [" in text
    assert f"Agreement with adapted: {number(kept.agreement.value)} [" in text
    judged = gate_of(kept, summary.yardstick, summary.rules)
    assert f"**{ {'passes': 'passed', 'fails': 'not passed', 'open': 'open'}[judged.state] }**" in text
    assert all(reason in text for reason in judged.reasons)
    assert "3.50 nats a token (3 rows). Change against adapted: 0.50‡ [0.50, 0.50]." in text
    assert "2 of 3. adapted: 3 of 3." in text
    start = front(folder / "seed-0" / "adapted" / "adapter" / "README.md")[1]
    assert "which this is" in start
    assert "Change against" not in start


@pytest.mark.parametrize(
    ("config", "licence", "hubs", "row"),
    [
        ({"data": "pocket"}, "apache-2.0", [], "| texts written by saywhy's own grammar | Apache-2.0 | built-in |"),
        ({"data": "hub"}, "other", ["stanfordnlp/sentiment140"], "| research use | the Hugging Face hub |"),
        ({"data": "../data/sentiment140"}, "other", ["stanfordnlp/sentiment140"], "| research use | `sentiment140` |"),
        ({"data": "all"}, "other", ["stanfordnlp/sentiment140"], "| research use | `all` |"),
        ({}, "other", [], "| rows of the user's own | not known to saywhy | not recorded |"),
        ({"data": "/home/me/tweets.jsonl"}, "other", [], "| rows of the user's own | not known to saywhy | `tweets` |"),
        ({"data": "pocket", "replay": "/home/me/dolly.jsonl"}, "other", [], "mixed in: `dolly.jsonl` (sha256 abc)"),
    ],
)  # fmt: skip
def test_data_by_name_and_licence(run, tmp_path, monkeypatch, config, licence, hubs, row):
    folder = shutil.copytree(run, tmp_path / "run")
    task = {"name": "sentiment140", "labels": ["negative", "positive"], "licence": "research use",
            "hub": {"id": "stanfordnlp/sentiment140"}}  # fmt: skip
    facts(folder, config=config, task=task, data={"rows": "cafe", "replay": "abc"})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "all" / "sentiment140").mkdir(parents=True)
    told, text = front(write_cards(summarise(load_run(folder)))[0])
    assert told["license"] == licence
    assert told["datasets"] == hubs
    assert ("license_name" in told) == (licence == "other")
    assert row in text
    assert "negative and positive" in text
    assert "/home/me" not in text
    if config.get("data") == "hub":
        assert "Sentiment140 (Go et al. 2009)" in text


def test_a_whole_model_and_a_base_of_ones_own(run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "run")
    adapter = folder / "seed-0" / "faithful" / "adapter"
    shutil.rmtree(adapter)
    adapter_of(folder, 0, "faithful", peft=False, base={"id": "/data/mine/my-model", "fingerprint": "f", "note": ""})
    told, text = front(write_card(adapter, [summarise(load_run(folder))], "faithful"))
    assert told["library_name"] == "transformers"
    assert told["base_model"] == "my-model"
    assert "lora" not in told["tags"]
    assert "AutoModelForCausalLM.from_pretrained" in text
    assert "peft" not in text
    assert "/data/mine" not in text
