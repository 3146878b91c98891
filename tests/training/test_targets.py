"""Pseudo-faithful explanations on a model: the search looks, and takes what it found."""

from typing import get_args

import pytest

import tiny
from saywhy.attribution import METHODS, MethodOptions
from saywhy.attribution.occlusion import occlusion_scores
from saywhy.config import Config, TargetMethod
from saywhy.measure.edits import Item, leave_one_out_tables, log_odds_drop, recheck
from saywhy.measure.predict import Classifier
from saywhy.models.interface import Gap
from saywhy.training import targets
from saywhy.training.practice import donor_doubt
from saywhy.training.rows import rehearsal_rows
from saywhy.words import candidates, match_case, replace_words


@pytest.fixture(scope="module")
def classifier(tiny_folder):
    return Classifier(tiny.load_exact(tiny_folder), tiny.TASK, {"negative": -0.7, "positive": -0.7})


@pytest.fixture(scope="module")
def items(classifier):
    examples = tiny.examples()
    return [Item(*pair) for pair in zip(examples, classifier.predict_examples(examples), strict=True)]


@pytest.mark.parametrize("infill", [0, 3])
def test_the_counterfactual_found_is_what_a_fresh_recheck_says(classifier, items, infill):
    made = leave_one_out_tables(classifier, items, "redact")
    told = targets.faithful_targets(classifier, items, made, occlusion_scores(made), tiny.PINNED, infill=infill)
    for item, table, picks in zip(items, made, told, strict=True):
        best = max(table.drops)
        assert table.drops[table.words.index(picks["attribution"].words[0])] == best
        assert picks["redaction"] == picks["attribution"]
        swap = picks["counterfactual"]
        [key], [new] = swap.words, swap.inserted
        cores = {word.key: word.core for word in candidates(item.example.text)}
        [[after]] = recheck(
            classifier, [item], [[replace_words(item.example.text, {key: match_case(new, cores[key])})]]
        )
        assert swap.hit == (after.label == item.prediction.runner_up)
        if not infill:
            assert new in tiny.PINNED[item.prediction.runner_up]
            if not swap.hit:  # nothing at the best positions hits: the largest drop is taken
                top = sorted(range(len(table.words)), key=lambda i: -table.drops[i])[: targets.POSITIONS]
                moves = [(table.words[i], w) for i in top for w in tiny.PINNED[item.prediction.runner_up]]
                texts = [replace_words(item.example.text, {k: match_case(w, cores[k])}) for k, w in moves if k != w]
                [found] = recheck(classifier, [item], [texts])
                assert not any(one.label == item.prediction.runner_up for one in found)
                largest = max(log_odds_drop(item.prediction, one) for one in found)
                assert log_odds_drop(item.prediction, after) == pytest.approx(largest, abs=1e-4)


@pytest.mark.parametrize("method", ["gradient_x_input", "integrated_gradients"])
def test_another_method_chooses_the_words_and_the_recheck_still_says_whether_they_hit(classifier, items, method):
    config = Config(target_method=method, steps=4)
    examples = [item.example for item in items]
    lessons = targets.lessons_of(classifier, examples, tiny.PINNED, config)
    assert [lesson.item for lesson in lessons] == items
    picks = [lesson.targets for lesson in lessons]
    scores = METHODS[method](classifier, items, MethodOptions(steps=4))
    for item, table, score, mine in zip(
        items, leave_one_out_tables(classifier, items, "redact"), scores, picks, strict=True
    ):
        top = score.best()
        assert mine["attribution"].words == mine["redaction"].words == (top,)
        assert mine["attribution"].hit == (table.labels[table.words.index(top)] != item.prediction.label)
        highest = sorted(score.scores, reverse=True)[: targets.POSITIONS]
        assert score.scores[score.words.index(mine["counterfactual"].words[0])] in highest
    by_recheck = targets.lessons_of(classifier, examples, tiny.PINNED, Config())
    assert any(a["attribution"].words != b.targets["attribution"].words for a, b in zip(picks, by_recheck, strict=True))


def test_every_method_but_the_baselines_can_choose_the_words_of_targets():
    assert set(get_args(TargetMethod)) == set(METHODS) - {"lexical", "random"}


def test_infill_is_the_models_likeliest_words_whatever_the_batch(classifier, items):
    model = classifier.model
    chat = [{"role": "user", "content": "Copy the tweet."}]
    gaps = [Gap(chat, before) for before in ("What a", "My awful flight", "The food was")]
    together = model.infill(gaps, 4)
    assert together == [model.infill([gap], 4)[0] for gap in gaps]
    assert any(together)
    for gap, words in zip(gaps, together, strict=True):
        assert all(word.isalpha() for word in words)
        barred = Gap(gap.messages, gap.before, frozenset(words[:1]))
        assert model.infill([barred], 3)[0] == words[1:4]


def test_rehearsal_takes_whole_texts_of_other_styles_in_its_share():
    rows = [
        {"id": f"text-{number}", "style": style}
        for number in range(30)
        for style in ("label", "attribution", "redaction", "counterfactual")
    ]
    drawn = rehearsal_rows(rows, ("attribution",), texts=30, share=0.25, seed=0)
    assert {row["style"] for row in drawn} == {"redaction", "counterfactual"}
    assert len({row["id"] for row in drawn}) == 10, "10 of 40 texts are a quarter"
    assert len(drawn) == 20
    assert drawn == rehearsal_rows(rows, ("attribution",), texts=30, share=0.25, seed=0)
    assert drawn != rehearsal_rows(rows, ("attribution",), texts=30, share=0.25, seed=1)


def test_a_donor_of_the_same_words_is_doubted():
    assert donor_doubt(5, 10) == ""
    assert "hardly another rule" in donor_doubt(7, 10)


def test_named_words_are_explained_in_every_style(items):
    words = [candidates(item.example.text)[0].key for item in items]
    found = targets.targets_naming(items, words, tiny.PINNED, 0)
    for word, picks in zip(words, found, strict=True):
        assert picks["attribution"].words == picks["redaction"].words == picks["counterfactual"].words == (word,)
        assert picks["counterfactual"].inserted[0] != word


def test_an_anchored_word_is_searched_without_asking_for_an_edit_twice(classifier, monkeypatch):
    config = Config(anchor=1)
    assert config.objective == "word"
    asked = []
    choose = classifier.model.choose
    monkeypatch.setattr(
        classifier.model, "choose", lambda choices, tick=None: asked.extend(choices) or choose(choices, tick)
    )
    examples = tiny.examples()
    anchored = targets.lessons_of(classifier, examples, tiny.PINNED, config)
    prompts = [repr(choice.messages) for choice in asked]
    assert len(prompts) == len(set(prompts)) > sum(len(candidates(example.text)) for example in examples)
    plain = targets.lessons_of(classifier, examples, tiny.PINNED, Config(anchor=0))
    assert [lesson.targets for lesson in anchored] == [lesson.targets for lesson in plain]
    assert all(lesson.edited for lesson in anchored)
