"""Objectives over all explanations of a text: what they compare, what they draw to, and what a step of them does."""

import dataclasses
import math
import random
from functools import partial
from itertools import pairwise

import pytest
import torch

import tiny
from practice import RECIPE
from saywhy.config import Config
from saywhy.measure import readouts
from saywhy.measure.edits import one_word_swaps
from saywhy.measure.likelihoods import word_scores
from saywhy.measure.predict import Classifier
from saywhy.models.chat import Chat
from saywhy.models.forward import Forward
from saywhy.records import STYLES
from saywhy.training import effects as measuring
from saywhy.training.encoding import Recipe, samples
from saywhy.training.lessons import EditEffects, Lesson, TextEffects, from_line, to_line
from saywhy.training.objectives import CANDIDATE_LOSSES, objective_of
from saywhy.training.rows import arm_rows
from saywhy.training.targets import lessons_of
from saywhy.words import candidates, take_out

TABLE = Config(objective="table", anchor=0.5)


@pytest.fixture(scope="module")
def classifier(tiny_folder):
    return Classifier(tiny.load_exact(tiny_folder), tiny.TASK, {"negative": -0.7, "positive": -0.7})


@pytest.fixture(scope="module")
def lessons(classifier):
    return lessons_of(classifier, tiny.examples(), tiny.PINNED, TABLE)


def rows_of(lessons, **settings):
    return arm_rows(TABLE.model_copy(update=settings), tiny.TASK, lessons, lessons)


def log_probabilities(model, rows, recipe):
    """Return the log-probability of each candidate of each row, as an objective sees it."""
    seen = []

    def keep(log_probabilities, effects, reference):
        seen.append(log_probabilities.detach())
        return log_probabilities.sum()

    texts = samples(Chat(tiny.tokenizer(), "tiny"), rows, recipe, 512)
    objective = objective_of(recipe)
    objective.keywords["candidate_loss"] = keep
    objective(Forward(model, "tiny"), texts)
    return seen


def test_the_distribution_is_that_of_which_the_constrained_readout_takes_the_mode(classifier, lessons):
    rows = [row for row in rows_of(lessons) if "candidates" in row]
    items = [lesson.item for lesson in lessons]
    likeliest = readouts.constrained(classifier.model, tiny.TASK, items, STYLES, tiny.PINNED)["constrained"]
    by_id = {item.example.id: of_styles for item, of_styles in zip(items, likeliest, strict=True)}
    scores = {
        item.example.id: of_words
        for item, of_words in zip(items, word_scores(classifier.model, tiny.TASK, items), strict=True)
    }
    for row, distribution in zip(rows, log_probabilities(classifier.model.model, rows, RECIPE), strict=True):
        assert torch.logsumexp(distribution, 0).item() == pytest.approx(0.0, abs=1e-5)
        explanation = by_id[row["id"]][row["style"]].explanation
        best = int(distribution.argmax())
        named = (row["candidates"]["words"][best], row["candidates"]["inserted"][best])
        if row["style"] == "counterfactual":  # the readout takes the place first, then the word: not the joint mode
            of_place: dict[str, float] = {}
            for word, value in zip(row["candidates"]["words"], distribution.exp().tolist(), strict=True):
                of_place[word] = of_place.get(word, 0.0) + value
            assert max(of_place, key=of_place.get) == explanation.words[0]
        else:
            assert named == (explanation.words[0], "")
        if row["style"] == "attribution":
            of_words = torch.tensor([scores[row["id"]][word] for word in row["candidates"]["words"]])
            assert torch.allclose(distribution, torch.log_softmax(of_words, 0), atol=1e-4)
            log_probability_of = by_id[row["id"]]["attribution"].log_probabilities
            assert distribution.max().item() == pytest.approx(log_probability_of[named[0]], abs=1e-4)


def test_a_tree_of_candidates_costs_what_each_text_alone_costs(classifier, lessons):
    texts = samples(Chat(tiny.tokenizer(), "tiny"), rows_of(lessons), RECIPE, 512)
    recipe = Recipe(objective="table")
    together = objective_of(recipe)(Forward(classifier.model.model, "tiny"), texts).item()
    count = sum(map(len, texts))
    alone = [
        objective_of(recipe)(Forward(classifier.model.model, "tiny", ("rows",)), [text], count).item() for text in texts
    ]
    assert together == pytest.approx(sum(alone), abs=1e-4)


def test_the_table_costs_nothing_where_the_model_says_what_the_effects_are():
    effects = torch.tensor([0.4, -0.1, 0.0])
    loss = partial(CANDIDATE_LOSSES["table"](Recipe(tau=0.2)), reference=None)
    assert loss(torch.log_softmax(effects / 0.2, 0), effects).item() == pytest.approx(0.0, abs=1e-6)
    others = [loss(torch.log_softmax(effects / 0.2 + shift * torch.arange(3), 0), effects) for shift in (1, 2, 3)]
    assert 0 < others[0] < others[1] < others[2]
    cold = partial(CANDIDATE_LOSSES["table"](Recipe(tau=1e-3)), reference=None)
    said = torch.log_softmax(torch.tensor([0.3, 0.2, 0.9]), 0)
    assert cold(said, effects).item() == pytest.approx(-said[0].item(), abs=1e-5)  # the best one alone


def test_the_reward_is_the_expected_gain_over_a_random_word():
    effects = torch.tensor([1.0, 0.0, 0.5])
    loss = partial(CANDIDATE_LOSSES["reward"](Recipe(tau=0.1)), reference=None)
    assert loss(torch.full((3,), 1 / 3).log(), effects).item() == pytest.approx(0.0, abs=1e-6)
    assert loss(torch.log_softmax(torch.tensor([50.0, 0.0, 0.0]), 0), effects).item() == pytest.approx(-1.0, abs=1e-6)


@pytest.mark.parametrize("beta", [0.2, 3.0])
def test_with_beta_the_table_is_the_start_times_what_the_effects_say(beta):
    """QRPO's target: both objectives are least at start * exp(effect / beta), normalised; the table costs 0 there."""
    effects, start = torch.tensor([0.4, -0.1, 0.0, 1.2]), torch.tensor([0.1, 0.6, 0.25, 0.05])
    target = start * torch.exp(effects / beta)
    target = (target / target.sum()).log()
    table, reward = (
        partial(CANDIDATE_LOSSES[name](Recipe(beta=beta)), reference=start.log()) for name in ("table", "reward")
    )
    assert table(target, effects).item() == pytest.approx(0.0, abs=1e-6)
    for loss in (table, reward):
        scores = target.clone().requires_grad_(True)
        loss(torch.log_softmax(scores, 0), effects).backward()
        assert torch.allclose(scores.grad, torch.zeros(4), atol=1e-6)
        assert loss(start.log(), effects) > loss(target, effects) + 1e-4


def test_a_beta_without_end_leaves_the_start_as_it_is():
    effects, start = torch.tensor([0.4, -0.1, 0.9]), torch.tensor([0.1, 0.6, 0.3]).log()
    assert CANDIDATE_LOSSES["table"](Recipe(beta=1e6))(start, effects, start).item() == pytest.approx(0.0, abs=1e-5)


@pytest.fixture(scope="module")
def compared(classifier):
    return lessons_of(classifier, tiny.examples(), tiny.PINNED, Config(objective="table", beta=0.5))


def test_references_are_what_the_objective_sees_of_the_start(classifier, compared):
    rows = [row for row in rows_of(compared) if "candidates" in row]
    for row, distribution in zip(rows, log_probabilities(classifier.model.model, rows, RECIPE), strict=True):
        assert row["candidates"]["reference"] == pytest.approx(distribution.tolist(), abs=1e-3)


def test_references_are_there_where_something_is_compared_with_the_start(lessons, compared):
    assert all(lesson.reference is None for lesson in lessons)
    examples = {lesson.item.example.id: lesson.item.example for lesson in compared}
    assert [from_line(to_line(lesson), examples) for lesson in compared] == compared
    forms = {
        Config(objective=objective, beta=beta).lesson_form
        for objective, beta in (("table", None), ("reward", None), ("dpo", 0.2), ("grpo", None))
    }
    assert forms == {"table"}
    assert Config(objective="reward", beta=0.2).lesson_form == Config(objective="table", beta=1).lesson_form != "table"


@pytest.mark.parametrize("objective", ["table", "reward"])
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("beta", [None, 0.1])
def test_steps_draw_the_explanations_to_what_they_do(tiny_folder, compared, objective, style, beta):
    model = tiny.load_exact(tiny_folder).model
    recipe = Recipe(objective=objective, tau=0.1, beta=beta, word_share=0.0)
    rows = rows_of(compared, train_styles=(style,), anchor=0.0, label_weight=0.0, objective=objective)
    texts = samples(Chat(tiny.tokenizer(), "tiny"), rows, recipe, 512)
    forward, optimizer = Forward(model, "tiny"), torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(6):
        loss = objective_of(recipe)(forward, texts)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(later < earlier for earlier, later in pairwise(losses))


def test_effects_are_what_rechecks_say_and_edited_texts_keep_their_probabilities(classifier, lessons):
    for lesson in lessons:
        item, (removal, swap) = lesson.item, lesson.effects
        text, label, named = item.example.text, item.prediction.label, item.prediction.runner_up
        assert removal.words == tuple(word.key for word in candidates(text))
        after = classifier.predict([(take_out(text, {word}), {}) for word in removal.words])
        falls = [item.prediction.margin - prediction.margin_of(label) for prediction in after]
        assert removal.values == pytest.approx(falls, abs=1e-4)
        measured = removal.first(measuring.POSITIONS)
        for number, (word, new, edited) in enumerate(one_word_swaps(text, tiny.PINNED[named])):
            assert (swap.words[number], swap.inserted[number]) == (word, new)
            if word in measured:
                [prediction] = classifier.predict([(edited, {})])
                rise = prediction.margin_of(named) - item.prediction.margin_of(named)
                assert swap.values[number] == pytest.approx(rise, abs=1e-4)
        assert len(lesson.edited) == measuring.ANCHORED_EDITS
        for edited_text in lesson.edited:
            [prediction] = classifier.predict([(edited_text.text, {})])
            assert edited_text.scores == pytest.approx(prediction.scores, abs=1e-4)


def test_several_operators_give_their_mean(classifier):
    by_operator = [
        measuring.measured_lessons(classifier, tiny.examples(), tiny.PINNED, operators, 0)
        for operators in (("redact",), ("delete",), ("redact", "delete"))
    ]
    for redact, delete, both in zip(*by_operator, strict=True):
        pairs = zip(redact.effects.removal.values, delete.effects.removal.values, strict=True)
        assert both.effects.removal.values == pytest.approx([sum(pair) / 2 for pair in pairs], abs=1e-4)
        assert both.effects.removal.hits == redact.effects.removal.hits


def test_lessons_are_read_as_they_were_written(lessons):
    examples = {lesson.item.example.id: lesson.item.example for lesson in lessons}
    assert [from_line(to_line(lesson), examples) for lesson in lessons] == lessons


def test_an_anchor_keeps_the_probabilities_of_texts_and_of_edited_texts(lessons):
    labels = [row for row in rows_of(lessons, anchor=0.25) if row["style"] == "label"]
    by_text: dict[str, float] = {}
    for row in labels:
        text = row["prompt"][0]["content"]
        by_text[text] = by_text.get(text, 0.0) + row["share"]
    assert len(by_text) == len(lessons) * (1 + measuring.ANCHORED_EDITS)
    assert all(weight == pytest.approx(0.25, abs=0.01) for weight in by_text.values())


def made_lesson(words):
    rng = random.Random(len(words))
    values = tuple(rng.random() for _ in words)
    removal = EditEffects(words, ("",) * len(words), values, tuple(value > 0.8 for value in values))
    return TextEffects(removal, removal)


def test_a_control_keeps_the_start_at_its_words(compared):
    """What is drawn to other words are the effects; how likely the start says a word is no effect."""
    controls = [
        dataclasses.replace(lesson, effects=measuring.ordered_by(lesson.effects, {}, random.Random(3)))
        for lesson in compared
    ]
    pairs = list(zip(rows_of(compared), rows_of(controls), strict=True))
    tables = [(row["candidates"], control["candidates"]) for row, control in pairs if "candidates" in row]
    assert all(table["reference"] == control["reference"] for table, control in tables)
    assert all(sorted(table["effects"]) == sorted(control["effects"]) for table, control in tables)
    assert any(table["effects"] != control["effects"] for table, control in tables)


@pytest.mark.parametrize("ranks", [{}, {"w3": 2.0, "w1": -1.0}])
def test_a_control_has_the_same_effects_at_other_words(ranks):
    effects = made_lesson(tuple(f"w{i}" for i in range(8)))
    control = measuring.ordered_by(effects, ranks, random.Random(1))
    assert sorted(control.removal.values) == sorted(effects.removal.values)
    assert control.removal.words == effects.removal.words
    if ranks:
        assert control.removal.best() == 3
        order = sorted(range(8), key=lambda i: -control.removal.values[i])
        assert order.index(3) < order.index(1) < 2  # words without a rank come last


def test_a_random_control_names_every_word_alike():
    effects = made_lesson(tuple("abcd"))
    draws = [measuring.ordered_by(effects, {}, random.Random(seed)).removal.best() for seed in range(400)]
    assert all(math.isclose(draws.count(i) / 400, 0.25, abs_tol=0.08) for i in range(4))


def test_the_written_explanation_is_the_best_one(lessons):
    for lesson in lessons:
        assert isinstance(lesson, Lesson)
        for style in ("attribution", "redaction"):
            best = max(lesson.effects.removal.values)
            assert dict(zip(lesson.effects.removal.words, lesson.effects.removal.values, strict=True))[
                lesson.targets[style].words[0]
            ] == pytest.approx(best)
