"""How the loss of practice went is drawn where the adapters are at hand."""

import pytest

from saywhy.folders.store import write_json
from saywhy.records import SaywhyError
from saywhy.report.load import Loss, load_run
from saywhy.report.plots import figures
from saywhy.report.summary import summarise
from written_runs import write_run


@pytest.fixture
def run(tmp_path):
    folder = write_run(tmp_path / "run", arms=("base", "adapted", "faithful", "random"), n=12)
    for arm, heldout in (("faithful", [0.9, 0.7]), ("random", [])):
        adapter = folder / "seed-0" / arm / "adapter"
        write_json(adapter / "losses.json", [{"step": step, "loss": 2.0 / step, "epoch": 1.0} for step in (1, 2, 4)])
        if heldout:
            measured = [{"step": 2 * at, "eval_loss": loss} for at, loss in enumerate(heldout, 1)]
            write_json(adapter / "heldout.json", measured)
    return folder


def test_losses_are_read_by_arm(run):
    losses = load_run(run).losses
    assert set(losses) == {(0, "faithful"), (0, "random")}
    assert losses[0, "random"] == (Loss(1, 2.0, False), Loss(2, 1.0, False), Loss(4, 0.5, False))
    assert losses[0, "faithful"][3:] == (Loss(2, 0.9, True), Loss(4, 0.7, True))


def test_they_are_a_picture(run):
    [picture] = [picture for picture in figures(summarise(load_run(run))) if picture.name == "losses"]
    for label in ("faithful", "faithful, held out", "random"):
        assert f">{label}<" in picture.svg or f"<!-- {label} -->" in picture.svg
    assert "random, held out" not in picture.svg


def test_a_run_without_adapters_has_none(tmp_path):
    run = load_run(write_run(tmp_path / "run", arms=("base", "faithful"), n=12))
    assert not run.losses
    assert "losses" not in {picture.name for picture in figures(summarise(run))}


def test_damaged_losses_are_one_line(run):
    write_json(run / "seed-0" / "random" / "adapter" / "losses.json", [{"step": "first"}])
    with pytest.raises(SaywhyError, match=r"losses\.json is damaged") as refused:
        load_run(run)
    assert "\n" not in str(refused.value)
