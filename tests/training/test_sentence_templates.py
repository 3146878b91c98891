"""Pseudo-faithful explanations in sentences: what fills a template is what is read of it, and the rest says nothing."""

import random
import re
from dataclasses import replace

import pytest

import tiny
from saywhy.config import Config
from saywhy.measure.edits import Item, leave_one_out_tables, recheck
from saywhy.measure.predict import Classifier
from saywhy.protocol.prompts import uncounted_words
from saywhy.protocol.sentences import read_sentences, steps_of
from saywhy.records import SENTENCE_STYLES, Prediction, SaywhyError
from saywhy.tasks.task import load_task
from saywhy.training.lessons import Lesson
from saywhy.training.named_words import (
    MOST_NAMED,
    lexical_words,
    most_named_words,
    random_words,
    supported_words,
)
from saywhy.training.rows import arm_rows
from saywhy.training.sentence_templates import KEYWORD_TEMPLATES, REASON_TEMPLATES, STEP_TEMPLATES, sentence_templates
from saywhy.training.sentences import fill, namable_words, sentence_completion
from saywhy.training.targets import random_targets
from saywhy.words import candidates, free_word_budget, take_out

TASKS = {name: load_task(name) for name in ("sentiment140", "snli", "ag_news")}
TEXTS = (
    "What a great sunny day, I love it!",
    "My awful flight is late again :( don't ask",
    "@pal the food was sad & cold, 1,000 well-made #fail u.s. things",
    "not good but no bad either",
    "Oil prices rose 5% as OPEC's cut-off talks stalled (Reuters) #39;s",
    "Gr\u00fc\u00dfe \u043f\u0440\u0438\u0432\u0435\u0442 \U0001f600 na\u00efve caf\u00e9",
)
ORDERS = [("keywords", "after"), ("reasons", "after"), ("steps", "after"), ("steps", "before")]


def item_of(task, text, label=None):
    labels = list(task.labels)
    label = label or labels[-1]
    scores = {name: -0.1 if name == label else -3.0 for name in labels}
    other = next(name for name in labels if name != label)
    return Item(tiny.examples((text,))[0], Prediction(label, label, scores, 2.9, other))


def parts(text):
    return len([part for part in re.split(r"[.!?](?:\s|$)", re.sub(r'"[^"]*"', "", text)) if part.strip()])


@pytest.mark.parametrize("name", TASKS)
def test_every_template_mentions_exactly_what_it_is_filled_with_and_obeys_its_style(name):
    task = TASKS[name]
    for text in TEXTS:
        keys, cores = namable_words(task, text), {word.key: word.core for word in candidates(text)}
        for style, order in ORDERS:
            for count in range(1, 1 + min(MOST_NAMED, free_word_budget(text), len(keys))):
                words = random.Random(f"{text}{count}").sample(keys, count)
                for template in sentence_templates(style, order, count):
                    content, spans = fill(
                        template, [cores[key] for key in words], next(iter(task.labels.values())), task
                    )
                    reading = read_sentences(style, text, content, uncounted_words(task))
                    assert set(reading.words) == set(words), (template, text)
                    assert not reading.denied
                    assert [content[start:stop] for start, stop in spans] == [cores[key] for key in words]
                    if style == "reasons":
                        assert 1 <= parts(content) <= 3, content
                    if style == "steps":
                        assert 2 <= len(steps_of(text, content)) <= 5


def test_there_are_twelve_wordings_a_style_and_steps_before_the_answer_do_not_give_it():
    for templates in (KEYWORD_TEMPLATES, REASON_TEMPLATES, *STEP_TEMPLATES.values()):
        assert len(set(templates)) == len(templates) >= 12
    assert not any("{answer}" in steps.numbered(2) for steps in STEP_TEMPLATES["before"])
    assert all("{answer}" in steps.numbered(2) for steps in STEP_TEMPLATES["after"])


@pytest.mark.parametrize(("style", "order"), ORDERS)
def test_a_text_of_a_templates_own_words_gets_another_template(style, order):
    task = TASKS["sentiment140"].replied_by("direct", order)
    for template in sentence_templates(style, order, 2):
        own = re.sub(r"\{\w+\}|\d\.", "", template).replace(",", " ").split()
        text = " ".join(["gloomy", "rain", *own])
        completion = sentence_completion(task, item_of(task, text), style, ("gloomy", "rain"), 0)
        assert completion, template
        reading = read_sentences(style, text, completion[0], uncounted_words(task))
        assert set(reading.words) == {"gloomy", "rain"}


def test_the_template_is_drawn_by_seed_text_and_style():
    task = TASKS["sentiment140"]
    item, other = item_of(task, TEXTS[0]), item_of(task, TEXTS[0])
    drawn = {
        seed: sentence_completion(task, item, "reasons", ("great",), seed)[0].replace("great", "love")
        for seed in range(20)
    }
    assert len(set(drawn.values())) > 5
    assert drawn[3] == sentence_completion(task, other, "reasons", ("love",), 3)[0], "whatever the words"


def test_label_words_words_of_the_question_and_the_noun_are_never_named():
    text = "positive tweet of sentiment, really Negative tweets"
    assert namable_words(TASKS["sentiment140"], text) == ["really", "tweets"]
    many = TASKS["sentiment140"].model_copy(update={"labels": {f"l{n}": f"label word {n}" for n in range(77)}})
    assert "rain" in namable_words(many, "rain label word 5")
    assert "5" not in namable_words(many, "rain label word 5")


class RuleClassifier(Classifier):
    """Adds up the weights of the words of a text: what the table must find is known."""

    def __init__(self, weights):
        self.task, self.weights, self.model, self.constants = tiny.TASK, weights, None, {}

    def predict(self, texts, tick=None):
        return [self._of(text) for text, _ in texts]

    def _of(self, text):
        margin = 0.5 + sum(self.weights.get(word.key, 0.0) for word in candidates(text))
        label, other = ("positive", "negative") if margin >= 0 else ("negative", "positive")
        return Prediction(label, label, {label: -0.1, other: -0.1 - abs(margin)}, abs(margin), other)


def supports_of(classifier, items):
    tables = leave_one_out_tables(classifier, items, "redact")
    return [{key: drop for key, drop in zip(table.words, table.drops, strict=True) if drop > 0} for table in tables]


@pytest.mark.parametrize(
    ("weights", "named", "hit"),
    [
        ({"great": 4.0, "love": 1.0, "sunny": -1.6}, ("great",), True),
        ({"great": -4.0, "love": -2.0, "sunny": 2.0}, ("great",), True),  # "negative": the same word alone keeps it
        ({"great": -0.4, "love": -0.3}, ("great", "love"), True),  # neither alone outweighs the bias, both do
        ({"great": 0.1, "love": -0.2, "sunny": -0.1}, ("great",), False),
        ({"great": 2.0, "love": 1.5, "sunny": 1.0}, ("great", "love"), False),  # "great" keeps less than half of all
        ({}, None, None),
    ],
)
def test_the_fewest_words_are_named_that_keep_the_answer_by_themselves(weights, named, hit):
    classifier = RuleClassifier(weights)
    example = tiny.examples(("What a great sunny day and many more words, I love it so much",))[0]
    [prediction] = classifier.predict([(example.text, {})])
    item = Item(example, prediction)
    [targets] = supported_words(classifier, [item], supports_of(classifier, [item]))
    if named is None:
        assert targets == {}
        return
    assert set(targets) == set(SENTENCE_STYLES)
    assert {target.words for target in targets.values()} == {named}
    assert targets["reasons"].hit is hit
    [[without]] = recheck(classifier, [item], [[take_out(example.text, named)]])
    assert hit == (without.label != prediction.label)


def test_texts_without_a_word_to_name_are_passed_over_and_nothing_else_is_no_practice():
    task = TASKS["sentiment140"]
    lessons = [
        Lesson(item_of(task, text), random_targets([item_of(task, text)], {"negative": ("sad", "bad")}, 0)[0])
        for text in TEXTS[:2]
    ]
    words = random_words(task, [lessons[0].item], [2], 0)[0]
    half = [replace(lessons[0], targets={**lessons[0].targets, **words}), lessons[1]]
    rows = arm_rows(Config(train_styles=("reasons", "attribution")), task, half, half)
    assert [row["style"] for row in rows] == ["label", "reasons", "attribution", "label", "attribution"]
    with pytest.raises(SaywhyError, match="no text has a word that a sentence can name") as refused:
        arm_rows(Config(train_styles=("reasons",)), task, lessons, lessons)
    assert "\n" not in str(refused.value)


def test_controls_name_as_many_words_the_same_whatever_the_order_of_texts():
    task = TASKS["ag_news"]
    items = [Item(example, item_of(task, example.text).prediction) for example in tiny.examples(TEXTS)]
    counts = [2, 0, 3, 1, 2, 1]
    drawn = random_words(task, items, counts, 7)
    assert [len(of_text["steps"].words) if of_text else 0 for of_text in drawn] == counts
    assert drawn[::-1] == random_words(task, items[::-1], counts[::-1], 7)
    assert drawn != random_words(task, items, counts, 8)
    associations = {"Sci/Tech": {"love": 3.0, "great": 2.0, "sunny": 1.0}}
    assert lexical_words(task, items[:1], [2], associations)[0]["keywords"].words == ("love", "great")
    assert most_named_words("so good") == 2
