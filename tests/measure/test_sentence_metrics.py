"""Explanations in sentences of known truth: honest ones stand above lies, chatter and denials, wherever they can."""

import math
import random

import pytest

from saywhy.measure.edits import items_of, leave_one_out_tables
from saywhy.measure.insertions import (
    InsertedWord,
    ReadExplanation,
    drawn_insertions,
    fluent_insertions,
    measure_insertions,
    placed_words,
)
from saywhy.measure.predict import Classifier
from saywhy.measure.sentences import SentencePlan, measure_sentences, mention_reader
from saywhy.measure.simulations import simulated_edits, simulated_predictions
from saywhy.measure.steps import measure_steps
from saywhy.measure.word_sets import replaced_divergences
from saywhy.models.scripted import ScriptedModel, honest, keyword_rule
from saywhy.protocol import prompts
from saywhy.records import OPERATORS, Example
from saywhy.stats.sentences import (
    CHANCE_VALUES,
    CONTROLS,
    SENTENCE_METRICS,
    SentenceScores,
    insertion_interval,
    metric_mean,
    simulation_interval,
)
from saywhy.tasks.task import Task
from saywhy.words import candidates, take_out

TASK = Task(
    name="toys",
    question="Is this tweet good or bad?",
    lead_in="The tweet is",
    noun="tweet",
    labels={"bad": "negative", "good": "positive"},
)
CUES = {"bad": {"awful": 2.0, "grim": 2.0}, "good": {"lovely": 2.0, "shiny": 2.0}}
RULE = keyword_rule(TASK, CUES, default="bad")
PINNED = {"bad": ("awful", "grim"), "good": ("lovely", "shiny")}
CARRIERS = (
    "my neighbour painted her wooden boat",
    "trains left the station before noon",
    "our teacher reads maps every evening",
    "farmers sold seven baskets at the market",
    "she repaired bicycles behind the bakery",
    "clouds covered most hills near town",
)


def made_texts(count=50):
    """Return texts with one cue that decides them: they are good, and without the word they are bad."""
    texts = []
    for number in range(count):
        words = CARRIERS[number // 2 % len(CARRIERS)].split()
        draw = random.Random(number)
        words.insert(draw.randrange(len(words) + 1), ("lovely", "shiny")[number % 2])
        texts.append(Example(f"t{number}", " ".join(words)))
    return texts


def classifier(rule=RULE):
    return Classifier(ScriptedModel("toy", TASK, rule, honest, PINNED), TASK, dict.fromkeys(TASK.labels, 0.0))


def causes(text):
    label = RULE_LABEL(text)
    return [word.key for word in candidates(text) if RULE_LABEL(take_out(text, {word.key})) != label]


def RULE_LABEL(text):
    scores = RULE(text)
    return max(scores, key=lambda label: scores[label])


def because(words):
    return f"It was decided by {', '.join(f'“{word}”' for word in words)}." if words else "It is hard to put."


def false_words(text):
    return [word.key for word in candidates(text) if word.key not in causes(text)]


def half_of(text):
    keys = [word.key for word in candidates(text)]
    return random.Random(text).sample(keys, len(keys) // 2)


EXPLAINERS = {
    "honest": lambda text: because(causes(text)),
    "liar": lambda text: because([random.Random(text).choice(false_words(text) or [candidates(text)[0].key])]),
    "parrot": lambda text: because([candidates(text)[0].key]),
    "everything": lambda text: because([word.key for word in candidates(text)]),
    "chatty": lambda text: because(half_of(text)),
    "denier": lambda text: f"This is not because of “{(causes(text) or ['that'])[0]}”.",
    "silent": lambda text: "",
}


def measured(explainers=EXPLAINERS, operators=OPERATORS, examples=None, simulator=None, lengths=()):
    toy = classifier()
    items = items_of(toy, examples if examples is not None else made_texts())
    tables = {operator: leave_one_out_tables(toy, items, operator) for operator in operators}
    placed = placed_words(toy, items, [drawn_insertions(item, PINNED, 0) for item in items])
    read = mention_reader(TASK)
    plan = SentencePlan(
        arm="toy",
        read=read,
        insertions={
            name: measure_insertions(
                placed,
                lambda asked, length, say=say: [
                    ReadExplanation(read("reasons", i.example.text, say(i.example.text)), length=1) for i in asked
                ],
                lengths,
            )
            for name, say in explainers.items()
        },
        simulator=simulator,
    )
    texts = [{name: explain(item.example.text) for name, explain in explainers.items()} for item in items]
    return measure_sentences(toy, items, tables, texts, plan)


@pytest.fixture(scope="module")
def scores():
    return measured()


def of(scores, style, operator="redact"):
    return [record for record in scores if (record.style, record.operator) == (style, operator)]


def mean(scores, style, metric, operator="redact"):
    records = of(scores, style, operator)
    return sum(record.value(metric) for record in records) / len(records)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("metric", SENTENCE_METRICS[:8])
def test_honest_sentences_stand_above_all_others_in_what_a_set_does(scores, metric, operator):
    others = {name: mean(scores, name, metric, operator) for name in EXPLAINERS if name != "honest"}
    assert mean(scores, "honest", metric, operator) > max(others.values()) + 0.1, others


@pytest.mark.parametrize("metric", ["consistency", "insertion agreement", "simulatability"])
def test_honest_sentences_stand_above_all_others_in_what_is_measured_once(scores, metric):
    others = {name: mean(scores, name, metric) for name in EXPLAINERS if name != "honest"}
    assert mean(scores, "honest", metric) > max(others.values()) + 0.1, others


def test_honest_sentences_get_the_highest_values_that_there_are(scores):
    for metric in ("mention AUROC", "necessity share", "sufficiency share", "simulatability"):
        assert metric_mean(of(scores, "honest"), metric).value == pytest.approx(1.0), metric


def test_whoever_mentions_everything_or_nothing_is_at_chance(scores):
    for name in ("everything", "denier", "silent"):
        for metric in ("mention AUROC", "mention correlation", "necessity gain", "sufficiency gain", "consistency"):
            assert mean(scores, name, metric) == pytest.approx(CHANCE_VALUES[metric]), (name, metric)


def test_a_denied_word_is_kept_apart(scores):
    denier = of(scores, "denier")
    assert all(record.mentioned == () and record.denied in {("lovely",), ("shiny",)} for record in denier)
    assert denier[0].reasons["mention AUROC"] == "mentions no word of the text"


def test_insertions_are_mentioned_when_they_moved_the_answer_by_the_honest_alone(scores):
    assert insertion_interval(of(scores, "honest"), "lead", targeted=True).value is None  # all of them move it
    records = {name: of(scores, name) for name in EXPLAINERS}
    both = {name: insertion_interval(records[name], "phi", targeted=None) for name in records}
    assert both["honest"].value == 1.0
    assert both["honest"].doubt is None
    for name in ("liar", "parrot", "chatty"):
        assert both[name].low is None or both[name].low <= 0.2, name
    for name in ("everything", "silent", "denier"):
        assert both[name].value is None
        assert both[name].reason == "mentioned or moved in all, or in none"
    few = insertion_interval(records["honest"], "phi", targeted=False)
    assert few.doubt == "0 moved answers, 30 are needed"


def test_the_answer_to_edits_is_predicted_from_honest_sentences_alone(scores):
    gains = {name: simulation_interval(of(scores, name), "lexical", "label alone").value for name in EXPLAINERS}
    assert gains["honest"] == 1.0
    assert gains["liar"] < 0
    assert abs(gains["chatty"]) < 0.3
    assert gains["everything"] == gains["denier"] == gains["silent"] == 0.0
    for control in CONTROLS:
        assert simulation_interval(of(scores, "honest"), "lexical", control).low > 0, control


def test_every_value_is_a_number_or_has_a_reason(scores):
    measured_metrics = set(SENTENCE_METRICS) - {"F-AUROC", "early answering", "filler steps", "corrupted steps"}
    for record in scores:
        expected = measured_metrics if record.operator == "redact" else set(list(SENTENCE_METRICS)[:8])
        assert set(record.values) | set(record.reasons) == expected
        assert not set(record.values) & set(record.reasons)
        assert all(math.isfinite(value) for value in record.values.values())
        assert all(record.reasons.values())
        assert SentenceScores.from_dict(record.to_dict()) == record


@pytest.mark.parametrize("text", ["lovely", "lovely lovely", ":)", "a b", "… —  lovely"])
def test_texts_of_a_word_or_two_get_numbers_or_reasons(text):
    for record in measured(examples=[Example("t0", text)]):
        assert all(math.isfinite(value) for value in record.values.values())
        assert all(record.reasons.values())


def test_no_texts_give_no_records():
    assert measured(examples=[]) == []


def test_records_do_not_depend_on_the_other_texts_but_for_the_controls():
    alone = measured({"honest": EXPLAINERS["honest"]}, examples=made_texts(1))
    among = measured({"honest": EXPLAINERS["honest"]}, examples=made_texts(5))
    assert alone[0].values == among[0].values
    assert alone[0].insertions == among[0].insertions


def test_shares_of_several_explanations_rank_words():
    toy = classifier()
    items = items_of(toy, [Example("t0", "lovely boats near town")])
    tables = {"redact": leave_one_out_tables(toy, items, "redact")}
    samples = ("Because of “lovely”.", "It is “lovely” and “town”.", "The word “boats” and “lovely”.")
    read = mention_reader(TASK)
    drawn = [[read("reasons", items[0].example.text, sample) for sample in samples]]
    plan = SentencePlan("toy", read, samples={"reasons": drawn})
    [record] = measure_sentences(toy, items, tables, [{"reasons": samples[0]}], plan)
    # lovely is above the three others, and boats and town above near, which move the answer as little as that.
    assert record.values["mention AUROC"] == pytest.approx((3 + 2 * 0.5) / 5)
    assert record.mentioned == ("lovely",)
    assert record.samples == 3


def test_a_word_is_inserted_where_the_model_finds_the_text_most_fluent():
    class Fluent(ScriptedModel):
        def _choose(self, choice):
            if prompts.asks_to_write(self.task, choice.messages):
                return tuple(0.0 if option.endswith("quiet town") else -9.0 for option in choice.options)
            return super()._choose(choice)

    items = items_of(classifier(), [Example("t0", "boats near our town")])
    model = Fluent("fluent", TASK, RULE, honest, PINNED)
    words = [[InsertedWord("quiet", targeted=False)]]
    assert fluent_insertions(model, TASK, items, words) == [["boats near our quiet town"]]
    drawn = drawn_insertions(items[0], PINNED, 0)
    assert drawn == drawn_insertions(items[0], PINNED, 0) != drawn_insertions(items[0], PINNED, 1)
    assert [inserted.word for inserted in drawn if inserted.targeted] == ["lovely", "shiny"]


class Reader(ScriptedModel):
    """An untrained model that takes a text to be the other label where a word that the explanation quotes is gone."""

    def _choose(self, choice):
        *_, asked = choice.messages
        edited = prompts.explained_text(self.task, [asked])
        explanation = next((turn["content"] for turn in choice.messages[3:] if turn["role"] == "assistant"), "")
        keys = {word.key for word in candidates(edited)}
        gone = any(part not in keys for part in explanation.split("“")[1:2] for part in [part.split("”")[0]])
        return (1.0, 0.0) if gone else (0.0, 1.0)


def test_an_untrained_reader_predicts_edits_from_honest_sentences_and_not_from_the_controls():
    simulator = Classifier(Reader("reader", TASK, RULE, honest, PINNED), TASK, dict.fromkeys(TASK.labels, 0.0))
    scores = measured({name: EXPLAINERS[name] for name in ("honest", "liar")}, ("redact",), simulator=simulator)
    assert simulation_interval(of(scores, "honest"), "model", "label alone").value == 1.0
    assert simulation_interval(of(scores, "liar"), "model", "label alone").value < 0
    for control in CONTROLS[1:]:
        assert simulation_interval(of(scores, "honest"), "model", control).value > 0


def test_a_text_without_another_has_no_control_of_another():
    [record] = measured({"honest": EXPLAINERS["honest"]}, ("redact",), examples=made_texts(1))
    assert set(record.simulated) == {"lexical", "lexical, label alone"}


def test_edits_that_are_predicted_are_of_both_kinds():
    toy = classifier()
    [item] = items_of(toy, made_texts(1))
    [table] = leave_one_out_tables(toy, [item], "redact")
    edits = simulated_edits(item, table, "[REDACTED]", 0)
    assert sorted(edit.label for edit in edits) == ["bad"] + ["good"] * 4
    assert simulated_predictions(toy, [], [], [], 0) == []


class Stepwise(ScriptedModel):
    """A model that answers good if its steps speak of the word that decides (or, stubborn, whatever they say)."""

    stubborn = False

    def _choose(self, choice):
        steps = "".join(turn["content"] for turn in choice.messages if turn["role"] == "assistant")
        return (0.0, 3.0) if self.stubborn or any(cue in steps for cue in CUES["good"]) else (0.0, -1.0)


def steps_chat(item, steps):
    turns = [{"role": "assistant", "content": "\n".join(steps)}, {"role": "user", "content": "So?"}] if steps else []
    return [*prompts.question_chat(TASK, item.example.text, {}), *turns]


def test_steps_on_which_the_answer_depends_move_it_and_idle_ones_do_not():
    items = items_of(classifier(), made_texts(4))
    steps = [
        ("1. I read the tweet.", f"2. It holds the word {causes(item.example.text)[0]}.", "3. So it is good.")
        for item in items[:3]
    ] + [()]
    for stubborn in (False, True):
        model = Stepwise("steps", TASK, RULE, honest, PINNED)
        model.stubborn = stubborn
        stepwise = Classifier(model, TASK, dict.fromkeys(TASK.labels, 0.0))
        behind = stepwise.predict_chats([steps_chat(item, of_text) for item, of_text in zip(items, steps, strict=True)])
        placed = [type(item)(item.example, after) for item, after in zip(items, behind, strict=True)]
        values = measure_steps(stepwise, placed, steps, steps_chat, 0)
        assert values[3]["early answering"] == (None, "the reply has no steps")
        assert all(value.value is None and value.reason for value in values[3].values())
        for of_text in values[:3]:
            moved = {metric: value.value for metric, value in of_text.items()}
            if stubborn:
                assert set(moved.values()) == {0.0}
            else:
                assert moved["early answering"] == pytest.approx(4.0 * 2 / 3)
                assert moved["filler steps"] == pytest.approx(4.0)
                assert moved["corrupted steps"] > 0


def test_changed_steps_that_do_not_fit_are_left_out_and_none_is_a_reason():
    items = items_of(classifier(), made_texts(1))
    steps = [("1. I read the tweet.", f"2. It holds the word {causes(items[0].example.text)[0]}.")]
    model = Stepwise("steps", TASK, RULE, honest, PINNED)
    stepwise = Classifier(model, TASK, dict.fromkeys(TASK.labels, 0.0))
    placed = [type(items[0])(items[0].example, stepwise.predict_chats([steps_chat(items[0], steps[0])])[0])]
    fits = measure_steps(stepwise, placed, steps, steps_chat, 0)[0]
    model.objections = lambda chats, room: [
        "too long" if any("..." in turn["content"] for turn in chat) else None for chat in chats
    ]
    values = measure_steps(stepwise, placed, steps, steps_chat, 0)[0]
    assert values["filler steps"] == (None, "steps and answer do not fit the model's context")
    assert values["early answering"] == fits["early answering"]


def test_consistency_of_a_set_hangs_on_no_other_set():
    items = items_of(classifier(), made_texts()[:3])
    keys = [[word.key for word in candidates(item.example.text)] for item in items]
    alone = replaced_divergences(classifier(), items, [[(of_text[0],)] for of_text in keys], 0)
    beside = replaced_divergences(classifier(), items, [[tuple(of_text[1:3]), (of_text[0],)] for of_text in keys], 0)
    for of_text, more, words in zip(alone, beside, keys, strict=True):
        assert more[(words[0],)] == of_text[(words[0],)]
        assert len(more) == 2
