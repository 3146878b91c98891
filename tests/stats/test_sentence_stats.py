"""Metrics of explanations in sentences, by planted truth: a number where there is one, else a reason."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from saywhy.stats.insertions import (
    LEAST_MOVED_ANSWERS,
    Insertion,
    distinct_count,
    f_auroc,
    mention_lead,
    moved_count,
    phi_correlation,
    text_f_auroc,
)
from saywhy.stats.mentions import (
    SetOutcome,
    consistency_excess,
    divergence,
    mention_auroc,
    mention_correlation,
    set_excess,
    set_share,
)
from saywhy.stats.pooled import pooled_interval
from saywhy.stats.sentences import SentenceScores, control_name, metric_mean, simulation_interval
from saywhy.stats.simulation import balanced_accuracy, predicted_counts, simulatability_gain
from saywhy.stats.steps import early_answering, steps_drop


@pytest.mark.parametrize(
    ("shares", "effects", "auroc"),
    [
        ([1, 0, 0, 0], [3.0, 0.1, 0.0, 0.2], 1.0),
        ([0, 0, 1, 0], [3.0, 0.1, 0.0, 0.2], 0.0),
        ([1, 0], [-3.0, 0.1], 1.0),  # the size of an effect counts, whatever its sign
        ([1, 1, 0, 0], [2.0, 0.0, 0.0, 0.0], 0.75),  # half the text, with the cause in it
        ([1.0, 0.5, 0.0], [3.0, 2.0, 1.0], 1.0),
        ([1.0, 0.5, 0.0], [3.0, 1.0, 2.0], 2 / 3),
    ],
)
def test_mention_against_effect_is_the_auroc_over_pairs_of_words(shares, effects, auroc):
    assert mention_auroc(shares, effects) == (pytest.approx(auroc), None)
    assert mention_correlation(shares, effects).value == pytest.approx(spearmanr(shares, np.abs(effects)).statistic)


@pytest.mark.parametrize(
    ("shares", "effects", "reason"),
    [
        ([0, 0, 0], [1.0, 2.0, 3.0], "mentions no word of the text"),
        ([1, 1, 1], [1.0, 2.0, 3.0], "mentions every word of the text"),
        ([0.5, 0.5], [1.0, 2.0], "all words are mentioned equally often"),
        ([1, 0], [1.0, -1.0], "all words move the answer alike"),
        ([1], [1.0], "the text has fewer than two words"),
        ([], [], "the text has fewer than two words"),
    ],
)
def test_where_nothing_can_be_compared_there_is_a_reason(shares, effects, reason):
    assert mention_auroc(shares, effects) == mention_correlation(shares, effects) == (None, reason)


def test_a_set_stands_between_random_sets_and_the_best():
    assert set_excess(SetOutcome(2.0, 0.5, 3.5)).value == 1.5
    assert set_share(SetOutcome(2.0, 0.5, 3.5)).value == 0.5
    assert set_share(SetOutcome(0.5, 0.5, 0.5)) == (None, "no set of this size does more than a random one")


def test_divergence_is_never_negative_and_zero_for_the_same_answer():
    sure, torn = ({"a": math.log(p), "b": math.log(1 - p)} for p in (0.9, 0.5))
    assert divergence(sure, sure) == 0.0
    assert divergence(sure, torn) == pytest.approx(0.9 * math.log(1.8) + 0.1 * math.log(0.2))
    assert consistency_excess([0.1, 0.3], [0.6, 0.8]).value == pytest.approx(0.5)


def made_insertions(texts, mentioned, *, moved=lambda i: i % 2 == 0, untouched=0.0):
    return [
        Insertion(f"t{i // 2}", f"w{i % 2}", False, moved(i), bool(mentioned(i, moved(i))), untouched)
        for i in range(2 * texts)
    ]


def test_phi_tells_who_mentions_what_moved_the_answer():
    honest = made_insertions(40, lambda i, moved: moved)
    contrary = made_insertions(40, lambda i, moved: not moved)
    blind = made_insertions(40, lambda i, moved: i % 8 in (0, 3, 5, 6))
    assert phi_correlation(honest).value == mention_lead(honest).value == 1.0
    assert phi_correlation(contrary).value == mention_lead(contrary).value == -1.0
    assert phi_correlation(blind).value == pytest.approx(0.0)
    interval = phi_correlation(blind)
    assert interval.low < 0 < interval.high
    assert (interval.n, interval.doubt) == (40, None)


def test_phi_of_whoever_always_or_never_mentions_is_none_with_a_reason():
    for mentions in (True, False):
        interval = phi_correlation(
            made_insertions(40, lambda *_, mentions=mentions: mentions, untouched=float(mentions))
        )
        assert (interval.value, interval.reason) == (None, "mentioned or moved in all, or in none")
    everything = made_insertions(40, lambda *_: True, untouched=1.0)
    assert mention_lead(everything).value == 0.0
    assert phi_correlation([]).reason == "no values"
    assert mention_lead(made_insertions(40, lambda *_: True, moved=lambda i: False)).value is None


def of_lengths(texts, mentioned, lengths=(1, 2, 4)):
    """Return insertions, one that moved the answer and one that did not a text, explained in several lengths."""
    return [
        Insertion(f"t{text}", f"w{word}", False, word == 0, bool(mentioned(text, word, length)), 0.0, length, True)
        for text in range(texts)
        for word in (0, 1)
        for length in lengths
    ]


def test_the_area_over_requested_lengths_tells_who_mentions_what_moved_the_answer_first():
    # One word: what moved the answer, in half of the texts; two: in all; four: everything.
    honest = of_lengths(40, lambda text, word, length: (word == 0 and (text % 2 or length > 1)) or length == 4)
    assert f_auroc(honest).value == 1.0
    contrary = of_lengths(40, lambda text, word, length: word == 1 or length == 4)
    assert f_auroc(contrary).value == 0.0
    # One word: (0, 0.5), two: (0.5, 0.5), four: (0.5, 1), so the area is 0.5 * 0.5 + 0.5 * 1.
    half = {(1, 0), (2, 0), (2, 1), (4, 1)}
    stairs = of_lengths(40, lambda text, word, length: text % 2 if (length, word) in half else length == 4)
    assert f_auroc(stairs).value == pytest.approx(0.75)
    for mentions in (True, False):
        assert f_auroc(of_lengths(40, lambda *_, mentions=mentions: mentions)).value == 0.5
    blind = f_auroc(of_lengths(60, lambda text, word, length: random.Random(f"{text}{word}").random() < length / 5))
    assert blind.low < 0.5 < blind.high


def test_the_area_has_an_interval_over_texts_a_doubt_and_reasons():
    interval = f_auroc(of_lengths(40, lambda text, word, length: word == (text % 3 == 0)))
    assert interval.low < interval.value < interval.high
    assert (interval.n, interval.doubt) == (40, None)
    few = f_auroc(of_lengths(LEAST_MOVED_ANSWERS - 1, lambda text, word, length: word == 0))
    assert few.doubt == f"{LEAST_MOVED_ANSWERS - 1} moved answers, {LEAST_MOVED_ANSWERS} are needed"
    assert f_auroc([]).reason == "no values"
    unmoved = [replace(insertion, moved=False) for insertion in of_lengths(40, lambda *_: True)]
    assert (f_auroc(unmoved).value, f_auroc(unmoved).reason) == (None, "no insertion moved the answer, or all did")


def test_the_area_of_one_text_exists_where_words_of_both_kinds_were_inserted():
    text = of_lengths(1, lambda text, word, length: word == 0)
    assert text_f_auroc(text) == (1.0, None)
    assert text_f_auroc([replace(insertion, mentioned=False) for insertion in text]).value == 0.5
    assert text_f_auroc(text[:3]).reason == "no inserted word moved the answer, or every one did"
    assert text_f_auroc([]).reason == "no word was inserted"


def test_few_moved_answers_are_a_doubt():
    moved = LEAST_MOVED_ANSWERS - 1
    some = made_insertions(60, lambda i, moved: moved, moved=lambda i: i % 2 == 0 and i // 2 < moved)
    assert phi_correlation(some).doubt == f"{moved} moved answers, {LEAST_MOVED_ANSWERS} are needed"


def counts_of(predict, texts=40):
    """Return counts of texts with ten edits each, of which the first two change the answer."""
    return {
        f"t{text}": predicted_counts([(edit < 2, predict(text, edit)) for edit in range(10)]) for text in range(texts)
    }


def test_the_gain_is_one_for_perfect_prediction_and_nothing_for_flips_everywhere():
    alone = counts_of(lambda *_: False)
    assert simulatability_gain(counts_of(lambda _, edit: edit < 2), alone).value == 1.0
    assert simulatability_gain(counts_of(lambda *_: True), alone).value == 0.0
    assert simulatability_gain(alone, alone).value == 0.0
    half = simulatability_gain(counts_of(lambda text, edit: edit < 2 and text % 2 == 0), alone)
    assert half.value == pytest.approx(0.5)
    assert half.low < 0.5 < half.high


def test_the_gain_over_a_perfect_control_or_without_changing_edits_is_none_with_a_reason():
    perfect = counts_of(lambda _, edit: edit < 2)
    assert simulatability_gain(perfect, perfect).reason == "no edit changes the answer, all do, or nothing was missing"
    unmoved = {"t0": predicted_counts([(False, False)] * 3), "t1": predicted_counts([(False, True)] * 3)}
    assert simulatability_gain(unmoved, unmoved).value is None
    assert balanced_accuracy(unmoved["t0"]) is None
    assert balanced_accuracy(perfect["t0"]) == 1.0
    assert simulatability_gain({}, {}).reason == "no values"


def test_a_share_over_texts_is_a_ratio_of_sums():
    """One text in which hardly any set does more than a random one would carry a mean of ratios."""
    rooms = [0.05, *[1.0] * 40]
    gains = [-0.35, *[0.5] * 40]
    records = [
        SentenceScores(
            *(f"t{at}", "task", "arm", 0, "reasons", "redact", ("a",), (), 0.0),
            {"necessity gain": gain, "necessity share": gain / room},
        )
        for at, (gain, room) in enumerate(zip(gains, rooms, strict=True))
    ]
    share = metric_mean(records, "necessity share")
    assert share.value == pytest.approx(sum(gains) / sum(rooms))
    assert share.low < share.value < share.high
    assert metric_mean(records, "necessity gain").value == pytest.approx(sum(gains) / len(gains))


def predicted_records(seeds, texts=12):
    """Return records of texts under some seeds, of which the first half is predicted with the explanation."""
    alone = predicted_counts([(True, False), (False, False)])
    return [
        SentenceScores(
            *(f"t{text}", "task", "arm", seed, "reasons", "redact", (), (), 0.0, {}),
            simulated={
                "lexical": predicted_counts([(True, text % 2 == 0), (False, False)]),
                control_name("lexical", "label alone"): alone,
            },
        )
        for text in range(texts)
        for seed in range(seeds)
    ]


def test_a_gain_hangs_on_texts_however_many_seeds_explain_them():
    once, thrice = (simulation_interval(predicted_records(seeds), "lexical", "label alone") for seeds in (1, 3))
    assert once == thrice
    assert (thrice.n, thrice.value) == (12, pytest.approx(0.5))


def test_a_gain_is_of_the_seeds_with_both_sides():
    [first, second, *_] = records = predicted_records(2)
    lone = replace(second, simulated={"lexical": first.simulated["lexical"]})
    assert simulation_interval([first, lone, *records[2:]], "lexical", "label alone").n == 12
    assert simulation_interval([lone], "lexical", "label alone").n == 0


def test_insertions_are_counted_once_however_many_seeds_make_them():
    seeds = [insertion for _ in range(3) for insertion in made_insertions(40, lambda i, moved: moved)]
    assert (moved_count(seeds), distinct_count(seeds)) == (40, 80)


def test_steps_that_change_nothing_add_nothing():
    assert early_answering(2.0, [2.0, 2.0]).value == steps_drop(2.0, [2.0]).value == 0.0
    assert early_answering(2.0, [-2.0, 0.0]).value == 3.0
    assert early_answering(2.0, ()) == (None, "the reply has no steps")
    assert steps_drop(2.0, ()) == (None, "the reply has no steps that could be changed")


def test_a_gain_of_few_texts_is_in_doubt():
    few, alone = counts_of(lambda text, edit: edit < 2 and text > 1, texts=9), counts_of(lambda *_: False, texts=9)
    assert simulatability_gain(few, alone).doubt == "9 texts, 10 are needed"


def test_a_statistic_that_few_resamples_have_has_no_interval():
    sums = np.array([[1.0, 1.0], *[[0.0, 0.0]] * 20])
    interval = pooled_interval(sums, lambda total: total[:, 0] / np.where(total[:, 1], total[:, 1], np.nan), ("a", "b"))
    assert (interval.value, interval.low, interval.high, interval.reason) == (1.0, None, None, "b")
