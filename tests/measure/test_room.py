"""How many tokens a reply may take, and which texts leave it no room."""

import random

import pytest

import tiny
from moods import PINNED, TASK
from saywhy.measure.audit import REPLY_HEADROOM, AuditPlan, audit, unusable
from saywhy.measure.predict import Classifier
from saywhy.measure.rooms import reply_room
from saywhy.protocol.prompts import question_chat
from saywhy.protocol.styles import read_reply
from saywhy.training.completions import completion
from saywhy.training.targets import Target
from saywhy.words import candidates, free_word_budget, take_out

LONG_WORDS = ("economy", "1,000,000", "president", "investors-analysts", "percent", "http://t.co/a9Bx", "international")


def long_text(words):
    """Return a text of so many distinct long words."""
    return " ".join(f"{LONG_WORDS[i % len(LONG_WORDS)]}{i}" for i in range(words))


@pytest.mark.parametrize("words", [5, 40, 115])
def test_a_free_list_within_the_budget_fits_its_room(tiny_model, words):
    text = long_text(words)
    keys = [word.key for word in candidates(text)]
    for seed in range(5):
        named = tuple(sorted(random.Random(seed).sample(keys, free_word_budget(text)), key=keys.index))
        reply, _ = completion(text, "attribution", Target(named))
        [ids] = tiny_model.chat.ids([reply])
        assert len(ids) <= reply_room(text, "attribution", "free")
        assert read_reply("attribution", "free", text, reply).words == named


LOG_LINES = (
    "IMG 20231105 4829-3321-0091 tx=0x83fa9912ffbc2231 amt=1234567.89 ref 9938-1123-4456-7789 id 550e8400-e29b-41d4 ok",
    "see https://t.co/Ab3dEfGhIjKlMnOpQr5tUv now",
    "WHY WOULD THEY DO THIS TO US AGAIN #NotMyProblemAnyMore @some_one_1998 :-((( 100%!!!",
    "good\n\n\n\n\nbut   so    very     late",
)


@pytest.mark.parametrize("text", LOG_LINES)
def test_explanations_of_numbers_addresses_and_shouts_fit_their_rooms(tiny_model, text):
    for word in candidates(text):
        for style in ("attribution", "redaction"):
            reply, _ = completion(text, style, Target((word.key,)))
            [ids] = tiny_model.chat.ids([reply])
            assert len(ids) <= reply_room(text, style, "one-word"), reply
            assert read_reply(style, "one-word", text, reply).words == (word.key,)


def test_a_redaction_of_a_word_that_stands_everywhere_fits_its_room(tiny_model):
    text = " ".join(["so good"] * 30)
    [ids] = tiny_model.chat.ids([take_out(text, {"so"})])
    assert len(ids) <= reply_room(text, "redaction", "one-word")


def test_a_text_is_set_aside_by_its_longest_edit_and_the_others_are_audited(tiny_model):
    classifier = Classifier(tiny_model, TASK, dict.fromkeys(TASK.labels, 0.0))
    repeated, plain = tiny.examples([" ".join(["so"] * 70 + ["good"]), "What a great sunny day"])
    copy = [*question_chat(TASK, repeated.text, {}), {"role": "assistant", "content": repeated.text}]
    assert tiny_model.objections([copy], REPLY_HEADROOM) == [None]  # the text itself would fit
    [aside] = unusable(classifier, [repeated, plain])
    assert (aside.id, aside.reason) == (repeated.id, "longer than the model's context")
    plan = AuditPlan("base", PINNED, ("attribution", "redaction"), ("one-word",), ("generated", "constrained"))
    assert {row.id for row in audit(classifier, [plain], plan).rows} == {plain.id}
