"""Whoever always names the word of one place is told from whoever reports."""

import dataclasses

import pytest

from saywhy.records import STYLES, CounterfactualGrid
from saywhy.report.study.places import (
    WORD_PLACES,
    WordEffects,
    named_sheet,
    named_words_of,
    place_comparisons,
    places_sheet,
    word_effects_of,
)


def _naming(summary, place):
    """Return the summary as if every explanation named the word of one place."""
    rows = {}
    for task, cells in summary.rows.items():
        rows[task] = {}
        for key, mine in cells.items():
            spots = word_effects_of(summary, task, key)
            there = [(row, spots[row.id, row.seed]) for row in mine if (row.id, row.seed) in spots]
            rows[task][key] = [
                dataclasses.replace(row, words=(one.words[WORD_PLACES[place]],), reason=None) for row, one in there
            ]
    return dataclasses.replace(summary, rows=rows)


@pytest.mark.parametrize("place", WORD_PLACES)
def test_who_names_a_place_has_nothing_beyond_it(planted_summary, place):
    found = list(place_comparisons(_naming(planted_summary, place)))
    assert found
    assert {one.style for one in found} == set(STYLES)
    assert all(one.beyond[place].value == pytest.approx(0.0) for one in found)
    other = next(name for name in WORD_PLACES if name != place)
    assert any(abs(one.beyond[other].value) > 0 for one in found)


def test_who_names_the_first_word_does_so_always_and_the_best_one_as_often_as_it_is_first(planted_summary):
    first = _naming(planted_summary, "first")
    found = list(named_words_of(first))
    assert {one.key.style for one in found} == set(STYLES)
    for one in found:
        spots = word_effects_of(planted_summary, one.task, one.key)
        mine = [spots[row.id, row.seed] for row in first.rows[one.task][one.key]]
        assert one.first.value == 1.0
        assert one.best.value == pytest.approx(sum(found.best == found.words[0] for found in mine) / len(mine))
        assert one.chance == pytest.approx(sum(1 / len(found.words) for found in mine) / len(mine))
    assert len(named_sheet(planted_summary).rows) == len(list(named_words_of(planted_summary)))


def test_whose_gain_was_planted_has_more_than_a_place(planted_summary):
    [one] = [one for one in place_comparisons(planted_summary) if (one.task, one.style) == ("films", "attribution")]
    assert all(difference.low > 0 for difference in one.beyond.values())
    assert len(places_sheet(planted_summary).rows) == len(list(place_comparisons(planted_summary)))


def test_a_place_in_a_grid_counts_with_all_words_that_were_put_there():
    edits = [("dull", "bright"), ("dull", "merry"), ("day", "bright"), ("day", "merry")]
    labels, drops = ("good", "good", "good", "bad"), (4.0, 2.0, 1.0, 0.0)
    spots = WordEffects.of_grid(CounterfactualGrid("a", "good", *zip(*edits, strict=True), labels, drops))
    assert spots == WordEffects(("dull", "day"), (1.0, 0.5), (3.0, 0.5))
    assert spots.best == "dull"
    assert [spots.excess(word) for word in ("dull", "day", "night", None)] == [0.25, -0.25, -0.75, -0.75]
