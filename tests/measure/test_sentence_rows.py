"""Explanations in sentences through the real audit: models of known truth get the numbers that they must get."""

import pytest
from test_toys import BY_HAND, PINNED, RULE, TASK, classifier, examples, rows_of

from saywhy import stats
from saywhy.measure.audit import AuditPlan, audit
from saywhy.measure.predict import Classifier
from saywhy.models.scripted import ScriptedModel, honest, liar, name_everything
from saywhy.records import SENTENCE_STYLES, STYLES
from saywhy.words import free_word_budget


def sentence_rows(explain, texts=tuple(BY_HAND), **plan):
    plan = {"styles": SENTENCE_STYLES, "settings": ("sentences",), "readouts": ("generated",), **plan}
    return rows_of(explain, texts, **plan)


def test_the_honest_one_scores_one_and_the_liar_nothing_in_sentences():
    for style in SENTENCE_STYLES:
        rows = sentence_rows(honest, styles=(style,))
        assert all(row.valid and row.hit == row.ceiling for row in rows)
        assert stats.score([row for row in rows if row.ceiling]).value == pytest.approx(1.0)
        assert not any(row.hit for row in sentence_rows(liar, styles=(style,)) if row.floor < 1)


def test_what_is_mentioned_is_judged_as_the_same_word_in_the_attribution_style():
    named = {row.id: row for row in rows_of(honest, styles=("attribution",), settings=("one-word",))}
    for row in sentence_rows(honest):
        word = named[row.id]
        assert (row.words, row.edited, row.recheck) == (word.words, word.edited, word.recheck)
        assert (row.drop, row.hit, row.floor, row.ceiling) == (word.drop, word.hit, word.floor, word.ceiling)
        assert row.coverage > 0
        assert row.denied == ()


def two_words(request):
    return request.say(request.ranked()[:2])


def test_several_words_are_judged_against_sets_of_their_size():
    free = {
        row.id: row for row in rows_of(two_words, styles=("attribution",), settings=("free",), readouts=("generated",))
    }
    for row in sentence_rows(two_words):
        same = free[row.id]
        assert set(row.words) == set(same.words)
        assert (row.hit, row.floor, row.ceiling, row.effect_floor) == (
            *(same.hit, same.floor, same.ceiling, same.effect_floor),
        )


def test_only_keywords_have_a_budget():
    by_style = {}
    for row in sentence_rows(name_everything, ("An awful day with nice shoes and so on",)):
        by_style[row.style] = row
    assert by_style["keywords"].reason == "over budget"
    assert by_style["reasons"].valid
    assert len(by_style["reasons"].words) > free_word_budget("An awful day with nice shoes and so on")
    assert by_style["reasons"].hit == (by_style["reasons"].floor == 1.0)  # all words are the only set of their size


def denier(request):
    return f'It is not because of "{request.ranked()[0]}".'


def test_what_is_only_denied_is_a_column_and_no_hit():
    for row in sentence_rows(denier, styles=("reasons", "steps")):
        assert (row.words, row.reason, row.hit) == ((), "names no word of the text", False)
        assert len(row.denied) == 1
        assert row.coverage is not None


@pytest.mark.parametrize("reply", ["", "\U0001f600", "word " * 10_000, "Parce que c'est ainsi.", "good, good. bad."])
def test_a_reply_without_a_word_of_the_text_has_a_reason(reply):
    for row in sentence_rows(lambda request: reply):
        assert row.reason
        assert not row.hit
        assert 0 <= row.floor <= 1


def test_every_request_is_made_in_its_own_setting_only():
    plan = AuditPlan("toy", {"bad": ("awful", "sad"), "good": ("great", "love")}, (*STYLES, *SENTENCE_STYLES),
                     ("one-word", "sentences"), ("generated", "constrained"))  # fmt: skip
    rows = audit(classifier(honest), examples(BY_HAND), plan).rows
    assert {(row.style, row.setting, row.readout) for row in rows} == {
        *((style, "one-word", readout) for style in STYLES for readout in ("generated", "constrained")),
        *((style, "sentences", "generated") for style in SENTENCE_STYLES),
    }


class Forgetful(ScriptedModel):
    """A model in whose context no answer behind steps about a day fits."""

    def objections(self, chats, room):
        return ["longer than the model's context" if "day" in chat[0]["content"] else None for chat in chats]


def test_the_answer_behind_steps_is_kept_where_there_is_room_for_it():
    task = TASK.replied_by("direct", "before")
    asked = AuditPlan("toy", PINNED, SENTENCE_STYLES, ("sentences",), ("generated",))
    model = Forgetful("toy", task, RULE, honest, PINNED)
    rows = audit(Classifier(model, task, dict.fromkeys(task.labels, 0.0)), examples(BY_HAND), asked).rows
    after = {(row.id, row.style): row for row in sentence_rows(honest)}
    for row in rows:
        has_room = row.style == "steps" and "day" not in list(BY_HAND)[int(row.id[1:])]
        assert row.steps_answer == (row.prediction if has_room else None)
        same = after[row.id, row.style]
        assert (row.words, row.hit, row.floor) == (same.words, same.hit, same.floor)
    assert any(row.steps_answer for row in rows)
