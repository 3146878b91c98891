"""Cells taken together: the mean of their differences, with an interval that knows which of them share texts."""

import shutil
from dataclasses import replace

import pytest

from saywhy.report.format import DRIFT_MARK, change_cell
from saywhy.report.shares import share_difference_cells
from saywhy.report.study import load_study, pooled
from saywhy.report.study.answer import answer_sentences
from saywhy.report.study.pooled import (
    POOLED_AXES,
    POOLED_RIVALS,
    pooled_difference,
    pooled_share_cells,
    pooled_share_difference,
    pooled_sheet,
    rival_gains,
)
from saywhy.report.study.summary import summarise_study
from saywhy.stats import Difference, own_effects


@pytest.mark.parametrize("kind", ["practised", "other style", "other task", "unseen task"])
def test_the_mean_is_that_of_the_cells(planted_summary, kind):
    gains = planted_summary.of_axis(kind)
    found = pooled_difference(planted_summary, gains)
    assert found.value == pytest.approx(sum(gain.value for gain in gains) / len(gains), abs=1e-12)
    texts = {(gain.task, row.id) for gain in gains for row in planted_summary.rows[gain.task][gain.key]}
    assert found.n == len(texts)


def test_what_is_not_practised_is_not_among_the_practised(planted_summary):
    for rival in POOLED_RIVALS:
        for gain in rival_gains(planted_summary, rival):
            assert gain.task in gain.arm.tasks
            assert not gain.arm.variant
    gain = rival_gains(planted_summary, "adapted")[0]
    assert rival_gains(replace(planted_summary, gains=(replace(gain, task="meals"), gain)), "adapted") == [gain]


@pytest.mark.parametrize("rival", POOLED_RIVALS)
def test_the_mean_against_others_is_that_of_the_cells_too(planted_summary, rival):
    """base has one seed and stands for all: its pooled difference must not be that of one seed."""
    gains = rival_gains(planted_summary, rival)
    assert gains
    cells = sum(gain.contrast.difference.value for gain in gains) / len(gains)
    assert pooled_difference(planted_summary, gains).value == pytest.approx(cells, abs=1e-12)


def test_one_cell_is_itself_and_the_same_cell_twice_is_no_more_certain(planted_summary):
    gain = planted_summary.of_axis("practised")[0]
    alone, twice = pooled_difference(planted_summary, [gain]), pooled_difference(planted_summary, [gain, gain])
    told = gain.contrast.difference
    for one in (alone, twice):
        assert (one.value, one.low, one.high) == pytest.approx((told.value, told.low, told.high), abs=1e-12)
        assert (one.p, one.n) == (told.p, told.n)


def test_cells_of_other_texts_make_it_more_certain(planted_summary):
    first, second = (
        next(g for g in planted_summary.of_axis("practised") if (g.task, g.key.style) == (task, "attribution"))
        for task in ("films", "trains")
    )
    both = pooled_difference(planted_summary, [first, second])
    widths = [gain.contrast.difference.high - gain.contrast.difference.low for gain in (first, second)]
    assert both.high - both.low < min(widths)


def _own(_, rows):
    return own_effects(rows)


def test_the_effect_share_of_one_cell_is_its_own_and_twice_is_no_more_certain(planted_summary):
    gain = planted_summary.of_axis("practised")[0]
    of_cell = gain.contrast.effect_share
    for gains in ([gain], [gain, gain]):
        share = pooled_share_difference(planted_summary, gains, _own)
        assert (share.value, share.low, share.high) == pytest.approx(
            (of_cell.value, of_cell.low, of_cell.high), abs=1e-9
        )
        assert share.n == of_cell.n
    own, by_start = pooled_share_cells(planted_summary, [gain])
    assert by_start == share_difference_cells(of_cell, gain.contrast.effect_share_start)[1]
    assert own.main == change_cell(of_cell).main


def test_a_gain_that_only_the_own_tables_show_is_marked_in_cells_taken_together(planted_summary, monkeypatch):
    monkeypatch.setattr(pooled, "pooled_share_difference", lambda *_: next(shares))
    gains = planted_summary.of_axis("practised")
    own, by_start = Difference(0.2, 0.1, 0.3, 50), Difference(0.1, -0.1, 0.3, 50)
    for pair, marked in ([(own, by_start), True], [(own, own), False], [(by_start, own), False]):
        shares = iter(pair)
        assert pooled_share_cells(planted_summary, gains)[0].main.endswith(DRIFT_MARK) == marked


def test_both_judges_speak_of_the_cells_that_the_start_grades(planted, tmp_path, planted_summary):
    folder = shutil.copytree(planted, tmp_path / "half")
    for file in folder.glob("tasks/films/seed-*/adapted/*s.jsonl"):
        if file.name in ("tables.jsonl", "grids.jsonl"):
            file.unlink()
    half = summarise_study(load_study(folder))
    for task in ("films", "trains"):
        assert any(gain.task == task for gain in half.of_axis("practised"))
    trains = [gain for gain in planted_summary.of_axis("practised") if gain.task == "trains"]
    expected = pooled_share_cells(planted_summary, trains)
    assert pooled_share_cells(half, half.of_axis("practised")) == expected
    said = pooled_sheet(half).note
    assert "practised, constrained: the start arm grades 2 of 8 cells, whose shares these are." in said
    assert "the start arm grades" not in pooled_sheet(planted_summary).note


def test_effect_shares_of_several_cells_are_a_ratio_of_sums(planted_summary):
    gains = [g for g in planted_summary.of_axis("practised") if g.key.style != "counterfactual"]
    shares = []
    for arm in ("arm", "rival"):
        sums = [0.0, 0.0]
        for gain in gains:
            key = gain.key if arm == "arm" else replace(gain.key, arm=gain.contrast.rival)
            effects = own_effects(planted_summary.rows[gain.task][key])
            seeds = len({seed for _, seed in effects})
            sums = [
                sums[0] + sum(e.gain for e in effects.values()) / seeds,
                sums[1] + sum(e.room for e in effects.values()) / seeds,
            ]
        shares.append(sums[0] / sums[1])
    share = pooled_share_difference(planted_summary, gains, _own)
    assert share.value == pytest.approx(shares[0] - shares[1], abs=1e-9)


def test_nothing_compared_is_no_number_and_no_line(planted_summary):
    assert pooled_difference(planted_summary, []).value is None
    assert pooled_sheet(replace(planted_summary, gains=())) is None


def test_what_no_cell_shows_alone_is_told_of_all_together(planted_summary):
    """The planted gains on other tasks, as if Holm had left none of them standing."""
    weak = tuple(
        replace(g, contrast=replace(g.contrast, p_holm=1.0)) if g.axis == "unseen task" else g
        for g in planted_summary.gains
    )
    said = answer_sentences(replace(planted_summary, gains=weak))[2]
    found = pooled_difference(planted_summary, planted_summary.of_axis("unseen task"))
    assert found.low > 0
    assert "by itself, but in all of them together it is" in said
    assert "No transfer to tasks that no arm saw" not in said


def test_what_is_below_in_all_of_them_together_is_told(planted_summary):
    """The planted gains on other tasks, as if each control were the arm and none stood alone."""

    def turned(gain):
        arm, other = gain.contrast.key.arm, gain.contrast.rival
        key = replace(gain.key, arm=other)
        found = gain.contrast.difference
        low = replace(found, value=-found.value, low=-found.high, high=-found.low)
        return replace(gain, contrast=replace(gain.contrast, key=key, rival=arm, difference=low, p_holm=1.0))

    gains = tuple(turned(g) if g.axis == "unseen task" else g for g in planted_summary.gains)
    said = answer_sentences(replace(planted_summary, gains=gains))[2]
    assert "and in all of them together it is below" in said


def test_the_table_has_a_line_for_each_kind_and_readout(planted_summary):
    rows = [[str(cell) for cell in row] for row in pooled_sheet(planted_summary).rows]
    kinds = [row[0] for row in rows]
    assert set(kinds) == {*POOLED_AXES, *(f"practised, against {rival}" for rival in POOLED_RIVALS)}
    for kind, readout, cells, *_ in rows:
        if kind in POOLED_AXES:
            setting = "free" if kind == "free" else "one-word"
            assert int(cells) == len(planted_summary.of_axis(kind, setting=setting, readout=readout))


def test_rivals_are_told_in_the_first_sentence(planted_summary):
    gains = rival_gains(planted_summary, "lexical")
    assert {gain.contrast.rival for gain in gains} == {"lexical.all.films"}
    shown = change_cell(pooled_difference(planted_summary, gains))
    assert f"difference is {shown} (lexical, {len(gains)} cells)" in answer_sentences(planted_summary)[0]
