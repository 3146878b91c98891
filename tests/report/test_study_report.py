"""The report of a study says what was planted in it: gains, brittleness, forgetting, transfer, and what is missing."""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from saywhy.arms import ArmName
from saywhy.config import Config
from saywhy.records import STYLES, SaywhyError
from saywhy.report.gate import gate_of
from saywhy.report.picture_files import write_pictures
from saywhy.report.retention import Retention
from saywhy.report.rules import Rules
from saywhy.report.study import load_study, write_study_report
from saywhy.report.study.ablations import ablations_of, curve_of
from saywhy.report.study.answer import answer_sentences
from saywhy.report.study.bar_checks import check_bars
from saywhy.report.study.bars import read_bars
from saywhy.report.study.draw import curve_pictures
from saywhy.report.study.files import confirmatory_csv, study_markdown
from saywhy.report.study.frozen import objections
from saywhy.report.study.gains import axis_of, gains_of
from saywhy.report.study.gate import instruction_retentions_of, not_releasable
from saywhy.report.study.groups import groups_of, groups_sheet
from saywhy.report.study.made import study_targets_sheet
from saywhy.report.study.matrices import style_matrices, task_matrices
from saywhy.report.study.parts import parts_of
from saywhy.report.study.pictures import study_picture_plans
from saywhy.report.study.pooled import rival_gains
from saywhy.report.study.sheets import bars_sheet, gain_result
from saywhy.report.study.summary import missing_from_study, summarise_study
from saywhy.stats import Difference, Interval
from saywhy.study.expand import recipes_of_arms
from saywhy.study.frozen import frozen_part
from saywhy.study.read import read_plan
from synthetic_study import bare_page


def test_planted_gains_are_confirmed_and_the_absent_one_is_not(planted_summary):
    found = {(g.task, g.key.style): g.confirmed(planted_summary.alpha) for g in planted_summary.confirmatory}
    assert found == {(task, style): (task, style) != ("trains", "redaction") for task, style in found}
    assert len(found) == 6
    assert answer_sentences(planted_summary)[0].startswith("Confirmed in 5 of 6 confirmatory cells")
    assert "not shown in redaction on trains" in answer_sentences(planted_summary)[0]


def test_five_sentences_say_what_was_planted(planted_summary):
    styles, tasks, free, cost = answer_sentences(planted_summary)[1:]
    assert "in 1 of 6 exploratory cells" in styles
    assert ", redaction to attribution)" in styles
    assert tasks.startswith("No transfer to tasks of the study that an arm did not practise is shown")
    assert "in tasks that no arm saw the excess is above the matched control's in 1 of 6" in tasks
    assert ", films to meals, attribution)" in tasks
    assert "in 6 of 9 exploratory cells" in free
    assert "the gate is passed by 2 of 2 confirmatory arms" in cost
    assert "floor and ceiling within 5 points" in cost
    gains = tuple(dataclasses.replace(gain, frozen=None) for gain in planted_summary.gains)
    exploratory = dataclasses.replace(planted_summary, gains=gains, frozen=())
    assert "confirmatory" not in answer_sentences(exploratory)[-1], "where nothing was frozen no arm is"


def test_transfer_that_was_frozen_is_called_confirmatory(planted_summary):
    cell = planted_summary.frozen[0]
    gains = tuple(
        dataclasses.replace(gain, frozen=cell) for gain in planted_summary.gains
        if gain.axis == "other style" and gain.arm.name == "faithful.redaction.films"
    )  # fmt: skip
    found = answer_sentences(dataclasses.replace(planted_summary, gains=gains, frozen=(cell,)))
    assert "in 1 of 2 confirmatory cells" in found[1]
    assert "exploratory" not in found[1]


def test_a_frozen_cell_is_compared_with_the_start_also_where_its_style_is_not_practised(planted_summary):
    first = planted_summary.frozen[0]
    key = dataclasses.replace(first.key, arm="faithful.redaction.films", style="attribution")
    cell = dataclasses.replace(first, task="films", key=key, against="random.redaction.films")
    found = gains_of(planted_summary.study, planted_summary.rows, [cell])
    others = {gain.contrast.rival: gain.axis for gain in found if gain.key == key}
    assert others == {"random.redaction.films": "other style", "base": "other arm", "adapted": "other arm"}
    beside = dataclasses.replace(planted_summary, gains=found, frozen=(cell,))
    assert {gain.key.style for gain in rival_gains(beside, "adapted")} == {"redaction"}, (
        "only what was practised is pooled"
    )


def test_levels_differ_by_the_paired_difference(planted_summary):
    """An arm of three seeds beside one of a single seed: both means are of the shared seeds."""
    for gain in planted_summary.gains:
        mine, other = gain.levels
        assert mine - other == pytest.approx(gain.contrast.difference.value)
    seeds = {gain.contrast.rival: gain.seeds for gain in planted_summary.gains if gain.arm.name == "faithful.all.films"}
    assert seeds["lexical.all.films"] == (0,)
    assert seeds["base"] == seeds["random.all.films"] == (0, 1)


def test_a_variant_has_the_control_of_its_variant_else_the_plain_one(planted_summary):
    study = planted_summary.study
    assert study.control(study.arm("faithful-rows40.all.films")).name == "random-rows40.all.films"
    assert study.control(study.arm("faithful-rows80.all.films")).name == "random.all.films"
    assert study.control(study.arm("faithful.redaction.films")).name == "random.redaction.films"
    assert study.control(study.arm("adapted")) is None


def test_the_brittle_arm_is_marked_and_its_words_fail_in_the_start_model(planted_summary):
    far = {key.arm for (_, key), drift in planted_summary.drifts.items() if not drift.near()}
    assert "faithful-full.all.films" in far
    assert not far & {"faithful.all.films", "faithful-bare.all.films", "random.all.films"}
    cells = {
        c.key.arm: c
        for c in planted_summary.tasks["films"].cells
        if c.key.style == "redaction" and c.key.setting == "free"
    }
    assert cells["faithful-full.all.films"].floor.value > cells["faithful.all.films"].floor.value + 0.2


def test_the_arm_that_loses_accuracy_is_not_releasable(planted_summary):
    assert set(not_releasable(planted_summary.kept)) == {"faithful-bare.all.films"}
    told = {one.arm.name: one for one in instruction_retentions_of(planted_summary.study)}
    assert told["faithful-bare.all.films"].change.low > 0.9
    assert told["faithful-bare.all.films"].plain.value < 0.6
    assert told["faithful-bare.all.films"].reasons.keys() == {"one word"}
    assert told["faithful.all.films"].plain.value == 1.0


def test_one_seed_of_the_start_arm_leaves_the_gate_open(planted, tmp_path):
    half = shutil.copytree(planted, tmp_path / "one-seed")
    for path in half.glob("tasks/*/seed-1"):
        shutil.rmtree(path)
    kept = [one for one in summarise_study(load_study(half)).kept if one.gate is not None]
    states = {one.arm.name: one.gate.state for one in kept}
    assert states["faithful.all.films"] == "open"
    assert states["faithful-bare.all.films"] == "fails"


def test_nothing_is_decided_while_a_frozen_seed_is_missing(planted_summary):
    gains = [
        dataclasses.replace(gain, frozen=dataclasses.replace(gain.frozen, seeds=(*gain.seeds, 9)))
        if gain.frozen
        else gain
        for gain in planted_summary.gains
    ]
    partial = dataclasses.replace(
        planted_summary, gains=tuple(gains), frozen=tuple(g.frozen for g in gains if g.frozen)
    )
    said = answer_sentences(partial)[0]
    assert said.startswith("Not decided yet, for 6 of 6 confirmatory cells lack seeds (9): so far, in 5 of the 6")
    assert "mean excess" in said
    assert "confirmatory cells that lack seeds (9): 6 of 6" in missing_from_study(partial)
    shown = {gain_result(partial, gain) for gain in partial.confirmatory}
    assert shown == {"so far higher", "so far not shown"}
    assert not any(gain.confirmed() for gain in partial.confirmatory)
    assert {one.state for one in check_bars(partial) if one.requirement.startswith("above its control")} <= {"open"}


def test_agreement_below_two_seeds_fails_the_gate():
    rules, nobody = Rules(), Interval(None, None, None, 0)
    change, usual = Difference(0.0, -0.01, 0.01, 900, p=1.0), Interval(0.95, 0.93, 0.96, 900)

    def kept(agreement: float, answer: str = "yes") -> Retention:
        agreed = Interval(agreement, agreement - 0.01, agreement + 0.01, 900)
        return Retention("a", usual, usual, change, answer, agreed, "unclear", {})

    assert gate_of(kept(0.931), usual, rules).state == "passes"
    failed = gate_of(kept(0.929), usual, rules)
    assert (failed.state, failed.reasons) == (
        "fails",
        ("agreement 0.93 is below that of two seeds of the start arm, 0.95",),
    )
    unclear = gate_of(kept(0.99, "unclear"), usual, rules).reasons[0]
    assert unclear.endswith("+0.0 [-1.0, +1.0] points, too few texts to exclude a loss of 2 points")
    assert gate_of(kept(0.99), nobody, rules).state == "open"


def test_matrices_hold_the_planted_transfer(planted_summary):
    films = next(one for one in style_matrices(planted_summary, "constrained") if one.title == "films")
    stands = {place for place, gain in films.gains.items() if gain.stands() == "higher"}
    own = {(style, style) for style in films.columns}
    assert stands == own | {("all", style) for style in films.columns} | {("redaction", "attribution")}
    assert films.rows == (*films.columns, "all")
    trains = next(one for one in style_matrices(planted_summary, "constrained") if one.title == "trains")
    assert trains.rows == ("all",), "what no arm of a task practised has no row there"
    framed = {place for place, gain in films.gains.items() if gain.frozen is not None}
    assert framed == {("all", style) for style in films.columns}
    attribution = task_matrices(planted_summary, "one-word", "constrained")[0]
    assert attribution.columns == ("films", "trains", "meals")
    higher = {place for place, gain in attribution.gains.items() if gain.stands() == "higher"}
    assert higher == {("films", "films"), ("trains", "trains"), ("films", "meals")}


def test_matrices_hold_styles_of_words_and_of_sentences_practised_and_tested(planted_summary):
    def moved(gain, style=None, practised=None):
        """Return a comparison as if it were of another tested style, or of arms that practised another."""
        key = gain.key if style is None else replace(gain.key, style=style, setting="sentences", readout="generated")
        arm = (
            gain.arm
            if practised is None
            else replace(gain.arm, styles=(practised,), name=f"faithful.{practised}.films")
        )
        return replace(gain, contrast=replace(gain.contrast, key=key), arm=arm)

    of_words = planted_summary.of_axis("practised", "other style")
    in_films = [gain for gain in of_words if gain.task == "films" and gain.key.style == "attribution"]
    by_words = [moved(gain, style) for gain in in_films for style in ("steps", "reasons")]
    by_all = next(gain for gain in in_films if gain.arm.practised == "all")
    by_sentences = [moved(by_all, style, "keywords") for style in (None, "reasons")]
    summary = replace(planted_summary, gains=(*planted_summary.gains, *by_words, *by_sentences))
    films = next(matrix for matrix in style_matrices(summary, "constrained") if matrix.title == "films")
    assert films.columns == (*STYLES, "reasons", "steps")
    assert films.rows == (*STYLES, "keywords", "all")
    assert {("all", "reasons"), ("keywords", "attribution"), ("keywords", "reasons")} <= films.gains.keys()
    alone = replace(summary, gains=(*by_words, *by_sentences[1:]))
    assert style_matrices(alone, "constrained") == []
    assert [matrix.columns for matrix in style_matrices(alone, "generated")] == [("reasons", "steps")]
    [picture] = [plan for plan in study_picture_plans(alone) if plan.name == "styles-generated"]
    assert "sentences, generated" in picture.caption


def test_a_missing_confirmatory_cell_counts_in_the_correction(planted, planted_summary, tmp_path):
    half = shutil.copytree(planted, tmp_path / "half")
    shutil.rmtree(half / "tasks" / "trains")
    found = summarise_study(load_study(half))
    before, after = ({g.key.style: g for g in s.confirmatory if g.task == "films"} for s in (planted_summary, found))
    assert len(found.unmeasured) == 3
    assert [after[s].contrast.p_holm for s in after] == [
        pytest.approx(6 * g.contrast.difference.p) for g in after.values()
    ]
    assert set(before) == set(after)
    assert "3 of the 3 measured ones of 6" in answer_sentences(found)[0]
    lacking = " ".join(missing_from_study(found))
    assert "tasks not measured yet: trains" in lacking
    assert "confirmatory cells not measured yet: 3 of 6" in lacking
    assert "Not finished: what is missing" in bare_page(found)
    assert confirmatory_csv(found).count("not measured") == 3


def test_arms_that_share_no_seed_are_not_compared(planted, tmp_path):
    half = shutil.copytree(planted, tmp_path / "half")
    for arm, seed in (("faithful.all.trains", 1), ("random.all.trains", 0)):
        shutil.rmtree(half / "tasks" / "trains" / f"seed-{seed}" / arm)
    summary = summarise_study(load_study(half))
    assert {gain.task for gain in summary.confirmatory} == {"films"}
    assert {cell.task for cell in summary.unmeasured} == {"trains"}
    assert "3 of the 3 measured ones of 6" in answer_sentences(summary)[0]


def test_a_study_that_has_only_begun_says_so(planted, tmp_path):
    begun = tmp_path / "begun"
    begun.mkdir()
    shutil.copy(planted / "study.json", begun)
    told = write_study_report(begun).read_text()
    assert "Nothing was named beforehand as confirmatory" in told
    assert "no test task has been measured" in told
    assert "nothing was frozen" in told
    with pytest.raises(SaywhyError, match="is no study"):
        load_study(tmp_path)


def test_a_changed_frozen_file_is_told(planted, tmp_path):
    assert objections(load_study(planted)) == []
    changed = shutil.copytree(planted, tmp_path / "changed")
    frozen = json.loads((changed / "frozen.json").read_text())
    frozen["cells"] = [cell for cell in frozen["cells"] if cell["style"] != "redaction"]
    (changed / "frozen.json").write_text(json.dumps(frozen))
    told = " ".join(objections(load_study(changed)))
    assert "its hash is not that of its content" in told
    assert "the plan confirms faithful in redaction, which was not frozen" in told
    plan = json.loads((changed / "study.json").read_text())
    plan["plan"]["confirmatory"][0]["styles"] = ["redaction"]
    (changed / "study.json").write_text(json.dumps(plan))
    assert "4 frozen cells are not in the plan's confirmatory part" in objections(load_study(changed))


def test_bars_say_by_how_much_each_is_missed(planted_summary):
    found = check_bars(planted_summary)
    missed = {(one.requirement, one.place): one.missed_by for one in found if one.state == "missed"}
    assert set(missed) == {
        ("score (constrained) at least 0.60", "redaction, trains"),
        ("above its control, p (Holm) < 0.01", "redaction, trains"),
    }
    score = planted_summary.cell(
        "trains", next(g.key for g in planted_summary.confirmatory if (g.task, g.key.style) == ("trains", "redaction"))
    )
    assert missed["score (constrained) at least 0.60", "redaction, trains"] == f"{0.6 - score.score.value:.2f}"
    transfer = next(one for one in found if "other style" in one.requirement)
    assert transfer.state == "met"
    assert "faithful.redaction.films" in transfer.measured
    with pytest.raises(SaywhyError, match=r"bars\.0"):
        read_bars([{"bar": "score", "arm": "faithful.all.TASK", "tasks": ["films"], "styles": ["poem"], "at_least": 1}])


def test_a_missed_bar_says_what_was_tried(planted_summary):
    bars = [
        {"bar": "score", "arm": "faithful.all.TASK", "tasks": ["films"], "styles": ["attribution"], "at_least": 0.99},
        {"bar": "gate", "arm": "faithful-bare.all.TASK", "tasks": ["films"]},
    ]
    study = planted_summary.study
    told = dataclasses.replace(study, manifest={**study.manifest, "plan": {**study.plan, "bars": bars}})
    score, gate = check_bars(dataclasses.replace(planted_summary, study=told))
    cells = {c.key.arm: c for c in planted_summary.tasks["films"].cells if c.key.style == "attribution"
             and (c.key.setting, c.key.readout) == ("one-word", "constrained")}  # fmt: skip
    assert f"full (rate=0.01): {cells['faithful-full.all.films'].score.value:.2f} against " in score.tried
    assert score.tried.count(";") == 4, "five variants, the points of the curve among them"
    assert gate.state == "missed"
    assert gate.tried == "", "nothing is a variant of a variant"


def test_bars_on_what_the_start_arm_grades_and_on_replies_as_written(planted_summary):
    cells = {"arm": "faithful.all.TASK", "tasks": ["films"], "styles": ["attribution"]}
    bars = [
        {"bar": "effect share", **cells, "at_least": 0.2},
        {"bar": "effect share", **cells, "at_least": 1.5},
        {"bar": "validity", **cells, "readout": "generated", "at_least": 0.1},
        {"bar": "validity", **cells, "readout": "generated", "at_least": 1.1},
    ]
    study = planted_summary.study
    study = dataclasses.replace(study, manifest={**study.manifest, "plan": {**study.plan, "bars": bars}})
    checks = check_bars(dataclasses.replace(planted_summary, study=study))
    assert [check.state for check in checks] == ["met", "missed", "met", "missed"]
    measured = {
        readout: next(
            cell
            for cell in planted_summary.tasks["films"].cells
            if (cell.key.arm, cell.key.style, cell.key.setting) == ("faithful.all.films", "attribution", "one-word")
            and (cell.key.readout, cell.key.operator) == (readout, "redact")
        )
        for readout in ("constrained", "generated")
    }
    assert checks[1].missed_by == f"{1.5 - measured['constrained'].effect_share_start.value:.2f}"
    assert checks[3].missed_by == f"{1.1 - measured['generated'].validity.value:.2f}"
    with pytest.raises(SaywhyError, match=r"bars\.0.*readout: generated"):
        read_bars([{"bar": "validity", **cells, "at_least": 0.9}])


def test_a_frozen_cell_is_settled_by_a_gain_or_by_an_interval_without_one(planted_summary):
    """Of the planted cells only redaction on trains is not confirmed."""
    of_all = len(planted_summary.confirmatory)
    bar = {"bar": "settled", "beyond": 0.05, "at_least": of_all}
    study = planted_summary.study
    study = dataclasses.replace(study, manifest={**study.manifest, "plan": {**study.plan, "bars": [bar]}})

    def check(low, high, **changed):
        gains, frozen = list(planted_summary.gains), list(planted_summary.frozen)
        at = next(at for at, gain in enumerate(gains) if gain.frozen and not gain.confirmed(0.01))
        cell = dataclasses.replace(gains[at].frozen, **changed)
        frozen[frozen.index(gains[at].frozen)] = cell
        contrast = gains[at].contrast
        difference = dataclasses.replace(contrast.difference, value=(low + high) / 2, low=low, high=high)
        contrast = dataclasses.replace(contrast, difference=difference, p_holm=0.5)
        gains[at] = dataclasses.replace(gains[at], contrast=contrast, frozen=cell)
        summary = dataclasses.replace(planted_summary, study=study, gains=tuple(gains), frozen=tuple(frozen))
        (settled,) = check_bars(summary)
        return settled.state, settled.measured, settled.missed_by

    confirmed = f"{of_all - 1} confirmed"
    assert check(-0.10, 0.04) == ("met", f"{confirmed}, 1 excluded", "")
    assert check(-0.04, 0.10) == ("missed", f"{confirmed}, 0 excluded", "1 of them")
    assert check(-0.04, 0.10, direction="lower")[0] == "met"
    bar["at_least"] = of_all + 1
    assert check(-0.04, 0.10, seeds=(0, 1, 2, 3))[0] == "missed", "what is open cannot make up for it"
    bar["at_least"] = of_all
    assert check(-0.10, 0.04, seeds=(0, 1, 2, 3)) == ("open", f"{confirmed}, 0 excluded", "")


@pytest.mark.parametrize(("direction", "side"), [("higher", "above"), ("lower", "below")])
def test_a_cell_that_goes_the_other_way_is_not_missed_by_its_p(planted_summary, direction, side):
    frozen, gains = list(planted_summary.frozen), list(planted_summary.gains)
    at = next(at for at, gain in enumerate(gains) if gain.frozen and gain.confirmed(0.01))
    cell = dataclasses.replace(gains[at].frozen, direction=direction)
    frozen[frozen.index(gains[at].frozen)] = cell
    sign = -1 if direction == "higher" else 1
    difference = dataclasses.replace(gains[at].contrast.difference, value=sign * 0.2, low=sign * 0.2, high=sign * 0.2)
    contrast = dataclasses.replace(gains[at].contrast, difference=difference)
    gains[at] = dataclasses.replace(gains[at], frozen=cell, contrast=contrast)
    checks = check_bars(dataclasses.replace(planted_summary, gains=tuple(gains), frozen=tuple(frozen)))
    (check,) = [check for check in checks if check.missed_by == "the opposite stands"]
    assert check.state == "missed"
    assert check.requirement == f"{side} its control, p (Holm) < 0.01"
    sheet = bars_sheet(dataclasses.replace(planted_summary, gains=tuple(gains), frozen=tuple(frozen)))
    (row,) = [row for row in sheet.rows if row[sheet.header.index("missed by")].main == check.missed_by]
    assert row[sheet.header.index("tried")].main != "nothing", "variants of this arm were measured"


def test_a_recipe_that_carries_over_to_a_style_counts_as_transfer(planted_summary):
    """It would be a strange study in which a variant could mend what no variant is asked about."""
    study = planted_summary.study
    lean = dataclasses.replace(
        study.arm("faithful.redaction.films"), name="faithful-lean.redaction.films", variant="lean"
    )
    renamed = dataclasses.replace(study, arms={**study.arms, lean.name: lean})
    gains = []
    for gain in planted_summary.gains:
        if gain.arm.name == "faithful.redaction.films":
            key = dataclasses.replace(gain.key, arm=lean.name)
            axis = axis_of(renamed, gain.task, lean, key)
            gain = dataclasses.replace(gain, arm=lean, axis=axis, contrast=dataclasses.replace(gain.contrast, key=key))
        gains.append(gain)
    found = dataclasses.replace(planted_summary, study=renamed, gains=tuple(gains))
    axes = {gain.key.style: gain.axis for gain in found.of_axis("variant", "other style") if gain.arm == lean}
    assert axes == {"attribution": "other style", "redaction": "variant", "counterfactual": "other style"}
    films = next(one for one in style_matrices(found, "constrained") if one.title == "films")
    assert {column for row, column in films.gains if row == "redaction, lean"} == set(STYLES)
    assert films.rows == ("attribution", "redaction, lean", "counterfactual", "all")
    transfer = next(one for one in check_bars(found) if "other style" in one.requirement)
    assert (transfer.state, "faithful-lean.redaction.films" in transfer.measured) == ("met", True)


def test_the_opposite_is_said_also_where_nothing_is_confirmed(planted_summary):
    other_way = tuple(
        dataclasses.replace(gain, frozen=dataclasses.replace(gain.frozen, direction="lower")) if gain.frozen else gain
        for gain in planted_summary.gains
    )
    frozen = tuple(dataclasses.replace(cell, direction="lower") for cell in planted_summary.frozen)
    first = answer_sentences(dataclasses.replace(planted_summary, gains=other_way, frozen=frozen))[0]
    assert first.startswith("Not confirmed in any of the 6 confirmatory cells measured")
    assert "change the model's own answer less often" in first
    assert "the opposite stands in attribution on films" in first
    assert "not shown in" not in first


def test_every_planned_audit_without_rows_is_said(planted_summary):
    ways = [["attribution", "one-word", "constrained"]]
    more = [*ways, ["attribution", "free", "placebo"]]
    study = planted_summary.study
    audits = [
        {"arm": "faithful.all.films", "seed": 0, "task": "films", "ways": ways},
        {"arm": "faithful.all.films", "seed": 7, "task": "films", "ways": ways},
        {"arm": "faithful.all.films", "seed": 0, "task": "meals", "ways": more},
        {"arm": "nobody.all.films", "seed": 0, "task": "films", "ways": ways},
    ]
    arms = {
        **study.arms,
        "nobody.all.films": dataclasses.replace(study.arms["random.all.films"], name="nobody.all.films"),
    }
    planned = dataclasses.replace(study, arms=arms, manifest={**study.manifest, "audits": audits})
    assert missing_from_study(dataclasses.replace(planted_summary, study=planned)) == [
        "arms without any row: nobody.all.films",
        "not measured yet: faithful.all.films on films (seed 7)",
        "not measured yet: faithful.all.films (free, placebo) on meals (seed 0)",
    ]


def test_the_page_says_how_often_targets_hit(planted, tmp_path):
    study = shutil.copytree(planted, tmp_path / "told")
    for name, hit in (
        ("targets", 0.5),
        ("targets-from-100", 0.25),
        ("targets-end", 1.0),
        ("faithful-x.all.films/targets", 0.75),
    ):
        path = study / "tasks" / "films" / "seed-0" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"n": 100, "hits": {"attribution": hit}}), "utf-8")
    found = study_targets_sheet(summarise_study(load_study(study)))
    told = {str(row[1]): str(row[3]) for row in found.rows}
    assert told == {"seed-0": "0.50", "seed-0/targets-from-100": "0.25", "seed-0/faithful-x.all.films": "0.75"}


def test_pictures_that_are_there_are_drawn_again(planted_summary, tmp_path):
    plans = study_picture_plans(planted_summary)[:2]
    stale = tmp_path / f"{plans[0].name}.png"
    stale.write_bytes(b"of another day")
    drawn = write_pictures(plans, tmp_path, png=False)
    assert stale.read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / f"{plans[1].name}.png").exists()
    told = study_markdown(planted_summary, parts_of(planted_summary), drawn)
    assert all(f"](pictures/{one.name}.svg)" in told for one in drawn)


def test_ablations_and_the_curve(planted_summary):
    found = {(one.arm.kind_and_variant, one.cell.key.style): one for one in ablations_of(planted_summary)}
    assert {sort for sort, _ in found} == {"faithful-full", "faithful-bare", "faithful-refreshed"}
    assert found["faithful-full", "attribution"].difference.high < 0
    assert found["faithful-bare", "attribution"].accuracy.high < -0.1
    refreshed = found["faithful-refreshed", "attribution"].difference
    assert refreshed.low < 0 < refreshed.high
    points = [p for p in curve_of(planted_summary) if (p.kind, p.style) == ("faithful", "attribution")]
    assert [point.rows for point in points] == [40, 80, 160]
    assert points[0].score.value < points[-1].score.value
    assert {point.seeds for point in points} == {(0,)}, "the arm without variant has a second one, the others not"


def test_each_recipe_has_a_curve_of_its_own(planted_summary):
    study = planted_summary.study
    other = {
        name: dataclasses.replace(arm, settings={**arm.settings, "objective": "word"})
        for name, arm in study.arms.items()
        if "train_rows" in arm.settings
    }
    summary = dataclasses.replace(planted_summary, study=dataclasses.replace(study, arms={**study.arms, **other}))
    points = [p for p in curve_of(summary) if (p.kind, p.style) == ("faithful", "attribution")]
    assert [(point.label, point.rows) for point in points] == [
        ("faithful, objective=word", 40),
        ("faithful, objective=word", 80),
    ], "the arm without variant stands alone"
    assert all(point.effect_share_start.value is not None for point in points)
    assert {plan.name for plan in curve_pictures(summary)} == {"curve", "curve-effect-share"}


def test_the_curves_of_two_recipes_look_different(planted_summary, monkeypatch):
    points = [point for point in curve_of(planted_summary) if point.kind == "faithful"]
    looks_of = (("", ""), ("objective=table", ""), ("anchor=1.0", ""), ("", "practised attribution"))
    drawn = [
        dataclasses.replace(point, recipe=recipe, practice=practice)
        for recipe, practice in looks_of
        for point in points
    ]
    monkeypatch.setattr("saywhy.report.study.draw.curve_of", lambda summary: drawn)
    axes = curve_pictures(planted_summary)[0].draw().axes[0]
    looks = {line.get_label(): (line.get_linestyle(), line.get_marker()) for line in axes.get_lines()}
    labels = [
        *("faithful", "faithful, objective=table", "faithful, anchor=1.0"),
        "faithful, practised attribution",
    ]
    assert len({looks[label] for label in labels}) == len(labels)


def test_a_curve_of_arms_that_share_no_seed_is_not_drawn(planted_summary):
    rows = {
        task: {
            key: [row for row in of_cell if row.seed == 1] if "rows" not in key.arm else of_cell
            for key, of_cell in cells.items()
        }
        for task, cells in planted_summary.rows.items()
    }
    assert not [p for p in curve_of(dataclasses.replace(planted_summary, rows=rows)) if p.kind == "faithful"]


def test_the_curve_has_its_main_point_where_the_plan_takes_the_usual_rows(planted_summary):
    study = planted_summary.study
    plan = {**study.plan, "with": {"rows": 60}}
    usual = dataclasses.replace(study, manifest={**study.manifest, "plan": plan})
    points = curve_of(dataclasses.replace(planted_summary, study=usual))
    assert [p.rows for p in points if (p.kind, p.style) == ("faithful", "attribution")] == [
        40,
        Config().train_rows,
        80,
    ]


def test_a_study_without_instruction_rows_does_not_miss_them(planted_summary):
    study = dataclasses.replace(planted_summary.study, kept={})
    lacking = "arms without retention on instruction data"
    assert any(
        line.startswith(lacking) for line in missing_from_study(dataclasses.replace(planted_summary, study=study))
    )
    plan = {**study.plan, "instruction_rows": 0}
    none = dataclasses.replace(study, manifest={**study.manifest, "plan": plan})
    assert missing_from_study(dataclasses.replace(planted_summary, study=none)) == []


def test_groups_are_cut_by_what_no_arm_changes(planted_summary):
    films = [one for one in groups_of(planted_summary) if one.task == "films"]
    assert {one.grouping for one in films} == {"class", "length", "margin"}
    assert {one.name for one in films if one.grouping == "class"} == {"good", "bad"}
    for by in ("class", "length", "margin"):
        assert sum(one.texts for one in films if one.grouping == by) == 40
    margins = [one.difference.value for one in films if one.grouping == "margin"]
    assert margins[0] > margins[-1], "texts of a small margin can flip, those of a large one cannot"


def test_groups_say_in_which_readout_they_were_measured(planted_summary):
    written = {
        task: {key: rows for key, rows in cells.items() if key.readout == "generated"}
        for task, cells in planted_summary.rows.items()
    }
    for readout, summary in (
        ("constrained", planted_summary),
        ("generated", dataclasses.replace(planted_summary, rows=written)),
    ):
        assert groups_sheet(summary).note.startswith(f"The arms of the answer, one-word, {readout}, on")


def test_what_the_engine_freezes_is_what_the_report_expects(tmp_path):
    plan = read_plan(Path(__file__).parents[2] / "studies" / "small.yaml")
    arms = {
        name: {**dataclasses.asdict(ArmName.parse(name)), "with": dict(told)}
        for name, told in recipes_of_arms(plan).items()
    }
    (tmp_path / "study.json").write_text(json.dumps({"schema": 1, "plan": plan.resolved(), "arms": arms}))
    (tmp_path / "frozen.json").write_text(json.dumps(frozen_part(plan)))
    found = summarise_study(load_study(tmp_path))
    assert objections(found.study) == []
    assert len(found.unmeasured) == 9
    assert {one.state for one in check_bars(found)} == {"open"}
    assert answer_sentences(found)[0].startswith("Whether the training works cannot be said yet: none of the 9")
    changed = {**plan.resolved(), "bars": []}
    (tmp_path / "study.json").write_text(json.dumps({"schema": 1, "plan": changed, "arms": arms}))
    assert objections(load_study(tmp_path)) == ["the plan's bars are not the frozen ones"]


@pytest.mark.slow
def test_an_arm_of_all_tasks_practised_on_each(planted, tmp_path):
    joint = tmp_path / "joint"
    shutil.copytree(planted, joint)
    manifest = json.loads((joint / "study.json").read_text())
    manifest["arms"]["faithful.all.films"]["tasks"] = manifest["arms"]["random.all.films"]["tasks"] = ["all"]
    (joint / "study.json").write_text(json.dumps(manifest))
    found = summarise_study(load_study(joint))
    assert found.study.arm("faithful.all.films").tasks == ("films", "trains")
    assert {(g.task, g.axis) for g in found.gains if g.arm.name == "faithful.all.films" and g.axis != "other arm"} >= {
        ("films", "practised"),
        ("trains", "practised"),
        ("meals", "unseen task"),
    }
    assert "all" in task_matrices(found, "one-word", "constrained")[0].rows
