"""The steps of a reply: its numbered parts, whatever stands around them."""

import pytest

from saywhy.protocol.sentences import explanation_length, read_sentences, steps_of

TEXT = "What a great sunny day"
PLAIN = "1. I read it.\n2. It says great.\n3. So it is good."
STEPS = ["1. I read it.", "2. It says great.", "3. So it is good."]


@pytest.mark.parametrize(
    "reply",
    [
        PLAIN,
        f"Here are my steps:\n{PLAIN}",
        f"Sure! Here are the steps.\n\n{PLAIN}",
        f"I look at the words. Then I weigh them.\nSo:\n\n{PLAIN}",
        f"<think>1. Hm, great.\n2. Or not?\n\nWell.</think>\n{PLAIN}",
        f"Hm, great.\n1. Or not?</think>\n\n{PLAIN}",
        f"```\n{PLAIN}\n```",
        PLAIN.replace("\n", "\n\n"),
        '["1. I read it.", "2. It says great.", "3. So it is good."]',
    ],
)
def test_preface_and_thoughts_are_no_steps(reply):
    assert steps_of(TEXT, reply) == STEPS


@pytest.mark.parametrize(
    ("reply", "steps"),
    [
        (f"{PLAIN}\n4. And the rest of", STEPS),
        (f"{PLAIN}\n4.", STEPS),
        (f"{PLAIN} Then", STEPS),
        ("1. I read it.\n2. It says gr", STEPS[:1]),
        ("1. I re", []),
        ("1.", []),
        ("<think>1. I read it.\n2. It", []),
        (f"<think>Hm.</think>\n{PLAIN}\n4. And", STEPS),
        (f"Here are my steps:\n{PLAIN}\n4. And", STEPS),
    ],
)
def test_of_a_reply_that_was_cut_off_the_whole_sentences_are_steps(reply, steps):
    assert steps_of(TEXT, reply, cut=True) == steps


def test_what_stands_before_the_first_step_is_not_read():
    replies = (f"What a sunny question. Here goes.\n\n{PLAIN}", PLAIN)
    assert {read_sentences("steps", TEXT, reply).words for reply in replies} == {("great",)}


@pytest.mark.parametrize(
    ("style", "reply", "length"),
    [
        ("keywords", "great, sunny", 2),
        ("keywords", "Keywords:\n- great\n- sunny\n- day\n", 3),
        ("keywords", '["great"]', 1),
        ("keywords", "", 0),
        ("reasons", "It is great. It is sunny!", 2),
        ("reasons", 'It says "great." So e.g. Mr. B. is glad... Yes', 3),
        ("reasons", "<think>Hm. Hm. Hm.</think>Because of great", 1),
        ("reasons", "...", 0),
        ("steps", PLAIN, 3),
        ("steps", f"Sure! Two steps.\n{PLAIN}", 3),
    ],
)
def test_a_reply_is_as_long_as_it_has_keywords_sentences_or_steps(style, reply, length):
    assert explanation_length(style, TEXT, reply) == length


@pytest.mark.parametrize(
    ("reply", "count"),
    [
        ("Step 1: I read it.\nStep 2: It is good.", 2),
        ("**Step 1:** I read it.\n**Step 2:** It is good.", 2),
        ("### 1. **Read**\nI read it.\n- great\n- sunny\n\n### 2. **Decide**\nIt is good.", 2),
        ("(1) I read it.\n(2) It is good.", 2),
        ("1) I read it.\n 2) It is good.", 2),
        ("1 - I read it.\n2 - It is good.", 2),
        ("1. It costs\n1.5 dollars at\n3:00 and 20 dogs are\n20 dogs.", 1),
        ("I read it.\nIt is good.", 2),
        ("It is good.", 1),
        ("", 0),
        ("   \n", 0),
        ("<think>1. Hm.\n2. It never", 0),
        ("<think>1. Hm.</think>", 0),
    ],
)
def test_a_step_begins_at_a_number_of_its_own(reply, count):
    assert len(steps_of(TEXT, reply)) == count
