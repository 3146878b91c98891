"""Effects in reports: what an older folder still knows of them, what it does not, and which gains are drift."""

import dataclasses

import pytest

from made_rows import ROW
from saywhy import stats
from saywhy.measure.audit import AuditPlan, audit
from saywhy.measure.predict import Classifier
from saywhy.models.scripted import ScriptedModel, honest, keyword_rule
from saywhy.records import OPERATORS, READOUTS, SETTINGS, STYLES, CounterfactualGrid, Example, Table
from saywhy.report.cells import CellKey
from saywhy.report.contrasts import Contrast
from saywhy.report.effects import with_effects, with_rises
from saywhy.report.shares import share_difference_cells
from saywhy.stats import Difference, Interval, TextsNeeded
from saywhy.tasks.task import Task

TEXTS = ("What a great sunny day", "It was great, just GREAT!", "An awful day with nice shoes", "A great plain sad day")
CUES = {"bad": {"awful": 2.0, "sad": 1.0}, "good": {"great": 2.0, "nice": 1.0}, "so": {"plain": 1.5, "fair": 2.0}}
PINNED = {"bad": ("awful", "sad"), "good": ("great", "nice"), "so": ("plain", "fair")}


EXAMPLES = [Example(f"t{at}", text) for at, text in enumerate(TEXTS)]


def toy(labels):
    """Return an honest model as a classifier of a task of so many labels, and its pinned words."""
    names = tuple(PINNED)[:labels]
    task = Task(
        name="toys", question="Which?", lead_in="It is", noun="text", labels={name: f"label {name}" for name in names}
    )
    cues = {name: CUES[name] for name in names}
    pinned = {name: PINNED[name] for name in names}
    model = ScriptedModel("toy", task, keyword_rule(task, cues, default="bad"), honest, pinned)
    return Classifier(model, task, dict.fromkeys(names, 0.0)), pinned


def audited(labels):
    """Return what its audit keeps."""
    classifier, pinned = toy(labels)
    return audit(classifier, EXAMPLES, AuditPlan("toy", pinned, STYLES, SETTINGS, READOUTS, OPERATORS))


def older(records):
    """Return the rows and grids as they were before effects were kept."""
    rows = [dataclasses.replace(row, effect=None, effect_floor=None, effect_ceiling=None) for row in records.rows]
    return rows, [dataclasses.replace(grid, rises=()) for grid in records.grids]


@pytest.mark.parametrize("labels", [2, 3])
def test_what_an_older_folder_recovers_is_what_a_new_one_keeps(labels):
    records = audited(labels)
    rows, grids = older(records)
    recovered = with_effects(rows, records.tables, with_rises(grids, labels))
    for old, new in zip(recovered, records.rows, strict=True):
        if new.setting == "one-word" and (labels == 2 or new.style != "counterfactual"):
            assert old == new
        else:
            assert (old.effect, old.effect_floor, old.effect_ceiling) == (None, None, None)


def test_with_three_labels_the_named_one_rises_by_another_number_than_the_answer_falls():
    grids = audited(3).grids
    assert any(grid.rises != pytest.approx(grid.drops) for grid in grids)
    two = audited(2)
    assert all(grid.rises == pytest.approx(grid.drops) for grid in two.grids)


def test_effects_are_those_of_a_fresh_recheck():
    classifier, _ = toy(3)
    before = {one.id: classifier.predict([(one.text, {})])[0] for one in EXAMPLES}
    rows = [row for row in audited(3).rows if row.valid]
    assert {row.setting for row in rows} == set(SETTINGS)
    for row in rows:
        [after] = classifier.predict([(row.edited, {})])
        if row.named:
            assert row.effect == pytest.approx(after.margin_of(row.named) - before[row.id].margin_of(row.named))
        else:
            assert row.effect == pytest.approx(before[row.id].margin - after.margin_of(row.prediction))


def test_effects_stay_between_what_they_are_compared_with():
    for row in audited(3).rows:
        assert row.effect_floor <= row.effect_ceiling
        assert (row.effect is None) == (not row.valid)
        if row.style != "counterfactual":
            assert row.effect == row.drop
        if row.valid and row.setting == "one-word" and row.readout == "constrained":
            assert row.effect <= row.effect_ceiling + 1e-9


def test_nothing_is_recovered_from_a_table_of_something_else():
    table = Table("a", "redact", "x", 1.0, ("good", "day"), ("y", "x"), (2.0, 0.0))
    assert with_effects([ROW], [table], [])[0].effect_floor == 1.0
    others = [
        dataclasses.replace(table, operator="delete"),
        dataclasses.replace(table, label="y"),
        dataclasses.replace(table, drops=(2.5, 0.0)),
        dataclasses.replace(table, id="b"),
    ]
    assert all(with_effects([ROW], [other], []) == [ROW] for other in others)
    named = dataclasses.replace(ROW, style="counterfactual", named="y", inserted=("bad",))
    grid = CounterfactualGrid("a", "y", ("good", "day"), ("bad", "bad"), ("y", "x"), (2.0, 0.0), (1.5, 0.0))
    assert with_effects([named], [table], [grid]) == [named], "the row does not know by how much the named label rose"


def contrast(own, by_start):
    """Return a contrast with the given intervals of its differences of effect shares."""
    differences = [
        Difference(None, None, None, 0) if bounds is None else Difference(sum(bounds) / 2, *bounds, 100)
        for bounds in (own, by_start)
    ]
    nothing = Interval(None, None, None, 0)
    key = CellKey("faithful", "attribution", "one-word", "constrained", "redact")
    return Contrast(
        key, "random", differences[0], differences[0], *differences, None, (nothing, nothing), None, TextsNeeded(None)
    )


@pytest.mark.parametrize(
    ("own", "by_start", "drift"),
    [
        ((0.1, 0.3), (-0.1, 0.2), True),
        ((0.1, 0.3), (-0.3, -0.1), True),
        ((0.1, 0.3), (0.01, 0.2), False),
        ((-0.1, 0.3), (-0.1, 0.2), False),
        ((-0.3, -0.1), (-0.1, 0.2), False),
        ((0.1, 0.3), None, False),
        (None, (0.1, 0.2), False),
    ],
)
def test_drift_is_a_gain_that_only_the_own_tables_show(own, by_start, drift):
    made = contrast(own, by_start)
    assert made.is_drift == drift
    assert share_difference_cells(made.effect_share, made.effect_share_start)[0].main.endswith("¶") == drift


def test_an_honest_model_has_the_whole_share():
    records = audited(3)
    for style in ("attribution", "redaction"):
        rows = [row for row in records.rows if (row.style, row.setting, row.operator) == (style, "one-word", "redact")]
        valued = [row for row in rows if row.readout == "constrained" and row.effect_ceiling > row.effect_floor]
        assert stats.effect_share(stats.own_effects(valued)).value == pytest.approx(1.0), style
