"""Whoever always names the word of one place is told from whoever reports."""

import dataclasses

import pytest

from saywhy.report.arms import tables_of
from saywhy.report.study.places import PLACES, named_of, named_sheet, places_of, places_sheet


def _naming(summary, place):
    """Return the summary as if every explanation named the word of one place."""
    rows = {}
    for task, cells in summary.rows.items():
        rows[task] = {}
        for key, mine in cells.items():
            tables = tables_of(summary.study.runs[task], key.arm, key.operator)
            rows[task][key] = [_judged(row, tables.get((row.id, row.seed)), PLACES[place]) for row in mine]
    return dataclasses.replace(summary, rows=rows)


def _judged(row, table, at):
    if table is None:
        return row
    return dataclasses.replace(row, hit=table.hits()[at], floor=table.floor())


@pytest.mark.parametrize("place", PLACES)
def test_who_names_a_place_has_nothing_beyond_it(planted_summary, place):
    found = list(places_of(_naming(planted_summary, place)))
    assert found
    assert {one.style for one in found} == {"attribution", "redaction"}
    assert all(one.beyond[place].value == pytest.approx(0.0) for one in found)
    other = next(name for name in PLACES if name != place)
    assert any(abs(one.beyond[other].value) > 0 for one in found)


def test_who_names_the_first_word_does_so_always_and_the_best_one_as_often_as_it_is_first(planted_summary):
    rows = {}
    for task, cells in planted_summary.rows.items():
        rows[task] = {}
        for key, mine in cells.items():
            tables = tables_of(planted_summary.study.runs[task], key.arm, key.operator)
            there = [(row, tables[row.id, row.seed]) for row in mine if (row.id, row.seed) in tables]
            rows[task][key] = [dataclasses.replace(row, words=table.words[:1], reason=None) for row, table in there]
    found = list(named_of(dataclasses.replace(planted_summary, rows=rows)))
    assert {one.key.style for one in found} == {"attribution", "redaction"}
    for one in found:
        tables = tables_of(planted_summary.study.runs[one.task], one.key.arm, planted_summary.operator)
        mine = [tables[row.id, row.seed] for row in rows[one.task][one.key]]
        assert one.first.value == 1.0
        assert one.best.value == pytest.approx(sum(table.best() == 0 for table in mine) / len(mine))
        assert one.chance == pytest.approx(sum(1 / len(table.words) for table in mine) / len(mine))
    assert len(named_sheet(planted_summary).rows) == len(list(named_of(planted_summary)))


def test_whose_gain_was_planted_has_more_than_a_place(planted_summary):
    [one] = [one for one in places_of(planted_summary) if (one.task, one.style) == ("films", "attribution")]
    assert all(difference.low > 0 for difference in one.beyond.values())
    assert len(places_sheet(planted_summary).rows) == len(list(places_of(planted_summary)))
