"""The steps of a reply: its numbered parts, whatever stands around them."""

import pytest

from saywhy.protocol.sentences import steps_of

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
