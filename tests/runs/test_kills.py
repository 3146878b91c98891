"""Whatever the moment at which a command is killed: given again, it ends with the bytes of one that was left alone."""

import functools
import shutil
from pathlib import Path

import pytest
import yaml

from kills import Verb, differences_after_kills
from saywhy.bank.release import release_bank
from saywhy.folders.checksums import CHECKSUMS_FILE
from synthetic_study import write_study
from written_runs import write_run

KILLS = 100
TEXTS = ("rows=3", "lexicon_rows=20", "calibration_rows=4", "chunk=1", "pinned_words=2", "most_words=12")
PRACTICE = ("adapt_rows=4", "train_rows=3", "batch=2", "adapt_epochs=1", "epochs=1", "decide_rows=4")
STYLES = ("styles=redaction,counterfactual", "readouts=constrained")
STUDY = {
    "name": "tiny",
    "tasks": ["sentiment140"],
    "seeds": [0],
    "instruction_rows": 2,
    "with": {"rows": 2, "adapt_rows": 3, "train_rows": 2, "decide_rows": 4, "calibration_rows": 4, "most_words": 9},
    "blocks": [{"name": "main", "arms": ["base", "adapted", "faithful"], "styles": ["attribution"]}],
    "confirmatory": [{"block": "main", "against": "adapted", "styles": ["attribution"]}],
}


SETTINGS = {
    "run": (*TEXTS, *PRACTICE, *STYLES, "arms=base,adapted,faithful"),
    "audit": (*TEXTS, *STYLES, "decide_rows=4", "robustness=noise,k-curve"),
    "attribute": (*TEXTS, "methods=occlusion,lexical,gradient_x_input"),
    "train": (*TEXTS, *PRACTICE),
    "targets": (*TEXTS, "train_rows=4"),
    "calibrate": ("plants=keyword", "methods=occlusion", "rows=4", "plant_rows=8", "calibration_rows=4", "chunk=2",
                  "lexicon_rows=20", "plant_epochs=1"),
}  # fmt: skip
READERS = ("study", "report", "release", "join")


@pytest.fixture
def verb(request, tmp_path, tiny_folder):
    """Return a verb that writes, with what it reads; its results have a folder for themselves."""
    name, out = request.param, tmp_path / "results" / "out"
    out.parent.mkdir()
    if name in SETTINGS:
        return Verb([name, f"model={tiny_folder}", f"out={out}", *SETTINGS[name]], out)
    if name == "study":
        file = tmp_path / "study.yaml"
        file.write_text(yaml.safe_dump({**STUDY, "model": str(tiny_folder)}), "utf-8")
        return Verb([name, str(file), f"out={out}"], out)
    if name == "join":
        return Verb([name, *map(str, banks_of_two_machines(tmp_path)), str(out)], out)
    run = write_run(tmp_path / "run", arms=("base", "faithful"), n=8, seeds=(0,))
    if name == "release":
        return Verb([name, str(run), str(out), "--key", str(tmp_path / "key")], out, modules=["saywhy.bank.release"])
    return Verb([name, str(out)], out, functools.partial(shutil.copytree, run))


def banks_of_two_machines(folder: Path) -> list[Path]:
    """Write the banks of a study of which each machine did one seed."""
    whole = release_bank(write_study(folder / "study", n=8), folder / "whole")
    banks = [folder / "first", folder / "second"]
    for bank, seed in zip(banks, (1, 0), strict=True):
        shutil.copytree(whole, bank, ignore=shutil.ignore_patterns(f"seed-{seed}", CHECKSUMS_FILE))
    return banks


@pytest.mark.slow
@pytest.mark.parametrize("verb", [*SETTINGS, *READERS], indirect=True)
def test_a_killed_command_goes_on_to_the_same_bytes(verb, tmp_path):
    assert differences_after_kills(verb, KILLS // len([*SETTINGS, *READERS]), tmp_path / "log") == {}


@pytest.mark.parametrize("verb", ["release"], indirect=True)
def test_a_bank_that_was_killed_twice_is_the_same_bytes(verb, tmp_path):
    assert differences_after_kills(verb, 2, tmp_path / "log") == {}
