"""The model cards of a study say what its page says."""

import json

import pytest

from saywhy.models.shipped import ADAPTER_MANIFEST
from saywhy.report.study import load_study
from saywhy.report.study.cards import write_study_cards
from saywhy.report.study.summary import summarise_study
from synthetic_study import write_study

CONSTANTS = {"base": {"id": "someone/model", "fingerprint": "sha256:0", "note": ""}, "recipe": {"rate": 0.001}}
ARMS = ("base", "adapted", "faithful.all.films", "random.all.films", "faithful.all.trains", "random.all.trains",
        "faithful-bare.all.films")  # fmt: skip
WORD = {"passes": "passed", "fails": "not passed", "open": "open"}


@pytest.mark.slow
def test_a_card_stands_beside_each_audited_adapter_and_has_the_gate_of_the_page(tmp_path):
    folder = write_study(tmp_path / "planted", n=20, arms=ARMS)
    study = load_study(folder)
    measured = sorted({row.arm for run in study.runs.values() for row in run.rows if row.arm.startswith("faithful")})
    for arm in (*measured, "faithful-half.all.films"):
        adapter = folder / "models" / "seed-0" / arm / "adapter"
        adapter.mkdir(parents=True)
        (adapter / ADAPTER_MANIFEST).write_text(json.dumps(CONSTANTS), "utf-8")
    summary = summarise_study(load_study(folder))
    written = write_study_cards(summary)
    assert sorted(card.parent.parent.name for card in written) == measured, "what was not audited has no card"
    judged = 0
    for card in written:
        text, arm = card.read_text("utf-8"), card.parent.parent.name
        gates = [arm_kept.gate for arm_kept in summary.kept if arm_kept.arm.name == arm and arm_kept.gate]
        assert all(f"**{WORD[gate.state]}**" in text for gate in gates)
        judged += len(gates)
        data = text.partition("## Data")[2].partition("\n## ")[0]
        assert all(f"| {task} |" in data for task in study.tasks), "its start learned the labels of all"
        assert not any(f"| {task} |" in data for task in study.unseen), "nothing was learned from what it is tested on"
        several = len({row.seed for run in study.runs.values() for row in run.rows if row.arm == arm}) > 1
        assert ("this is one of them" in text) == several
        if control := study.control(study.arm(arm)):
            assert f"over {control.name}" in text
    assert judged
