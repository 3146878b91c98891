"""How the loss of practice went is drawn where the adapters are at hand."""

import shutil

import pytest

from saywhy.bank.release import KEY_FILE, release_bank
from saywhy.folders.store import write_json
from saywhy.records import SaywhyError
from saywhy.report.load import Loss, load_run
from saywhy.report.losses import draw_losses
from saywhy.report.plots import figures
from saywhy.report.study import load_study
from saywhy.report.study.pictures import study_picture_plans
from saywhy.report.study.summary import summarise_study
from saywhy.report.summary import summarise
from saywhy.study.join import join_banks
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


def test_a_bank_keeps_them_and_nothing_else_of_an_adapter(run, tmp_path):
    (run / "seed-0" / "faithful" / "adapter" / "README.md").write_text("A card.")
    bank = release_bank(run, tmp_path / "bank")
    assert load_run(bank).losses == load_run(run).losses
    files = [path for path in bank.rglob("*") if path.parent.name == "adapter"]
    assert sorted(path.name for path in files) == ["heldout.json", "losses.json", "losses.json"]
    assert "epoch" not in "".join(path.read_text() for path in files)


def test_a_study_draws_a_panel_for_each_practice_and_a_line_for_each_seed(planted, tmp_path):
    folder = shutil.copytree(planted, tmp_path / "study")
    names = ("adapted", "faithful.all.films", "random.all.films", "faithful-half.all.films")  # the last is no arm:
    for seed, arm in ((1, "faithful.all.films"), *((0, name) for name in names)):  # one with new targets starts there
        losses = [{"step": step, "loss": 1.0 / step + seed} for step in (1, 2)]
        write_json(folder / "models" / f"seed-{seed}" / arm / "adapter" / "losses.json", losses)
    [plan] = [plan for plan in study_picture_plans(summarise_study(load_study(folder))) if plan.name == "losses"]
    figure = plan.draw()
    panels = {axes.get_title(): [line.get_label() for line in axes.lines] for axes in figure.axes}
    assert panels == {"adapted": ["adapted"], "all, films": ["faithful", "random", "faithful"]}
    for axes in figure.axes:
        assert max(max(line.get_ydata()) for line in axes.lines) < axes.get_ylim()[1], "no line is cut off"
    bank = release_bank(folder, tmp_path / "bank")
    assert load_study(bank).losses == load_study(folder).losses
    shutil.rmtree(shutil.copytree(folder, tmp_path / "part") / "models" / "seed-1")
    part = release_bank(tmp_path / "part", tmp_path / "part-bank", folder / KEY_FILE)
    assert load_study(join_banks([part, bank], tmp_path / "joint")).losses == load_study(folder).losses


def test_joined_banks_have_the_losses_of_one_training(planted, tmp_path):
    place, banks = "models/seed-0/adapted/adapter", []
    for name, files in (("first", ["losses"]), ("second", ["losses", "heldout"])):
        folder = shutil.copytree(planted, tmp_path / name)
        for file in files:
            key = "loss" if file == "losses" else "eval_loss"
            write_json(folder / place / f"{file}.json", [{"step": 2 * len(files), key: 0.5}])
        banks.append(release_bank(folder, tmp_path / f"{name}-bank", planted / KEY_FILE))
    assert load_study(join_banks(banks, tmp_path / "joint")).losses == {(0, "adapted"): (Loss(2, 0.5, False),)}


def test_a_long_title_is_folded():
    title = "attribution+counterfactual+redaction, sentiment140+snli (refreshed)"
    figure = draw_losses({title: [("faithful", [Loss(1, 0.5, False)])]})
    assert max(map(len, figure.axes[0].get_title().split("\n"))) < len(title)


def test_a_run_without_adapters_has_none(tmp_path):
    run = load_run(write_run(tmp_path / "run", arms=("base", "faithful"), n=12))
    assert not run.losses
    assert "losses" not in {picture.name for picture in figures(summarise(run))}


@pytest.mark.parametrize("point", ['{"step": "first"}', '{"step": 1e999, "loss": 1}', '{"step": 0, "loss": 1}',
                                   '{"step": 1, "loss": 1e999}'])  # fmt: skip
def test_damaged_losses_are_one_line(run, point):
    (run / "seed-0" / "random" / "adapter" / "losses.json").write_text(f"[{point}]")
    with pytest.raises(SaywhyError, match=r"losses\.json is damaged") as refused:
        load_run(run)
    assert "\n" not in str(refused.value)
