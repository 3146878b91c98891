"""Chat templates that nobody wrote, put together by chance: each is refused in one line, or read as it is written."""

import datetime
import random
from collections import Counter

import pytest
from transformers.utils import chat_template_utils

import families
from families import THINK, Family
from saywhy.models import template
from saywhy.models.chat import Chat
from saywhy.records import SaywhyError

USER, BRIEF = {"role": "user", "content": "Which word?"}, {"role": "system", "content": "Be brief."}
CHATS = (
    [USER],
    [BRIEF, USER],
    [USER, {"role": "assistant", "content": "It is great."}, {"role": "user", "content": "Why?"}],
    [BRIEF, USER, {"role": "assistant", "content": "It is great."}, {"role": "user", "content": "Why?"}],
)
ANSWERS = ("sad", "The food was sad", "My [REDACTED] flight :(", "a day,\nso late and cold")

MARKS = (  # before a user's words, before the assistant's, special tokens
    ("<|im_start|>user", "<|im_start|>assistant", ["<|im_start|>"]),
    ("<|user|>", "<|assistant|>", ["<|user|>", "<|assistant|>"]),
    ("<|user|>", "<|assistant|>", []),
    ("[INST]", "[/INST]", ["[INST]", "[/INST]"]),
    ("[INST]", "[/INST]", []),
    ("<start_of_turn>user", "<start_of_turn>model", ["<start_of_turn>"]),
    ("### User:", "### Assistant:", []),
    ("USER:", "ASSISTANT:", []),
)
GAPS = ("", "", " ", "\n", "\n", "\n\n")
ENDS = ("<|im_end|>", "</s>", "<|end|>\n", "{{ eos_token }}", "{{ eos_token }}\n", "\n", "\n\n", "", "[END]")
TRIMS = ("", "", " | trim", ".strip()", ".lstrip()")
DATES = ("", "", "{{ strftime_now('%d %b %Y') }}\n", "{{ strftime_now(format='%Y-%m-%d') }}\n", "{{ date_string }}\n")
SYSTEMS = (
    *("kept", "kept", "default", "dropped", "folded"),
    "{% if m.role == 'system' %}{{ raise_exception('no system turns') }}{% endif %}",
    "{% if loop.first and m.role != 'system' %}{{ raise_exception('begin with a system turn') }}{% endif %}",
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles alternate') }}{% endif %}",
)
NO_THOUGHT = "<think>\n\n</think>\n\n"
THOUGHTS = (  # in an opened chat, in a closed turn
    *(("", ""),) * 4,
    ("<think>\n", ""),
    ("<think>\n", "{% if loop.last %}" + NO_THOUGHT + "{% endif %}"),
    ("{% if enable_thinking is false %}" + NO_THOUGHT + "{% endif %}", ""),
    ("{% if enable_thinking is false %}" + NO_THOUGHT + "{% endif %}", NO_THOUGHT),
    (
        "{% if enable_thinking is false %}" + NO_THOUGHT + "{% endif %}",
        "{% if loop.last %}" + NO_THOUGHT + "{% endif %}",
    ),
)


def family_of(luck: random.Random) -> Family:
    """Put a template and a tokenizer of its kind together."""
    user, assistant, special = luck.choice(MARKS)
    gap, behind, end, trim = luck.choice(GAPS), luck.choice(GAPS), luck.choice(ENDS), luck.choice(TRIMS)
    user_end = luck.choice((end, end, "", "\n"))
    system = luck.choice(SYSTEMS)
    opened, closed = luck.choice(THOUGHTS)
    rule = system if "{" in system else ""
    words = "m.content.split('</think>')[-1]" if luck.random() < 0.2 else "m.content"
    turns = {
        "user": f"{user}{gap}{{{{ m.content{trim} }}}}{user_end}{behind}",
        "assistant": f"{assistant}{gap}{closed}{{{{ {words}{trim} }}}}{end}{behind}",
        "system": ""
        if system == "dropped"
        else f"{user.replace('user', 'system')}{gap}{{{{ m.content }}}}{user_end}{behind}",
    }
    template = "{{ bos_token }}" * luck.randint(0, 1) + luck.choice(DATES)
    if system == "default":
        template += "{% if messages[0].role != 'system' %}You are helpful.\n{% endif %}"
    if system == "folded":
        template += (
            "{% set first = '' %}{% if messages[0].role == 'system' %}{% set first = messages[0].content + NL %}"
        )
        template += "{% set messages = messages[1:] %}{% endif %}"
        turns["user"] = turns["user"].replace("{{ m.content", "{{ first if loop.first }}{{ m.content")
    template += "{% for m in messages %}" + rule
    for role, written in turns.items():
        template += f"{{% if m.role == '{role}' %}}{written.replace(chr(10), '{{ NL }}')}{{% endif %}}"
    template += "{% endfor %}"
    if luck.random() < 0.9:
        ahead = gap if luck.random() < 0.8 else luck.choice(("", " ", "\n"))
        written = f"{assistant}{ahead}{opened}".replace("\n", "{{ NL }}")
        template += f"{{% if add_generation_prompt %}}{written}"
        template += luck.choice(("", "", "{% else %}{{ eos_token }}")) + "{% endif %}"
    template = "{% set NL = '\n' %}" + template  # jinja takes line ends off behind blocks
    eos = luck.choice(("<|im_end|>", "</s>", "<|end|>"))
    return Family(template, eos, [*special, *luck.choice(([], ["<s>"]))], THINK if luck.random() < 0.5 else (),
                  luck.choice(("bytes", "bytes", "always", "first", "never")))  # fmt: skip


@pytest.fixture
def sittings(monkeypatch):
    """Return a function that makes a chat of a family two times, a day apart."""

    class Clock(datetime.datetime):
        day = 1

        @classmethod
        def now(cls, tz=None):
            return cls(2031, 5, cls.day, 23, 59)

    monkeypatch.setattr(chat_template_utils, "datetime", Clock)

    def chats(family: Family):
        for Clock.day in (1, 2):
            yield Chat(families.tokenizer(family), "made")

    return chats


def assert_read_as_written(chat: Chat, messages: list[dict], content: str) -> None:
    """What is opened, closed, practised and scored is the same text, and the same ids."""
    answer = {"role": "assistant", "content": content}
    opened, closed = chat.open(messages), chat._template._rendered([*messages, answer])
    turn = chat.turn([*messages, answer], "row 1")
    written = chat.begin(messages, content)
    assert written.startswith(opened)
    head, [whole] = chat.continuations(opened, [written.removeprefix(opened)])
    assert turn.ids[: turn.start] == head
    assert turn.ids[-1] == chat.end_of_turn[0]
    assert turn.ids[:-1] == whole
    assert turn.start < len(whole)
    assert content in chat.tokenizer.decode(turn.ids, clean_up_tokenization_spaces=False)
    plain_opened, plain_closed = (template._THOUGHT.sub("", text) for text in (opened, closed))
    assert plain_closed.startswith(plain_opened)
    assert plain_closed.count(content) == 1
    assert plain_closed[len(plain_opened) :].startswith(chat.lead + content)


def outcome(family: Family, sittings) -> str:
    """Check a template; return "read", or why it is refused."""
    try:
        chat, later = sittings(family)
        for messages in CHATS:
            assert chat.open(messages) == later.open(messages)
            for content in ANSWERS:
                assert_read_as_written(chat, messages, content)
    except SaywhyError as error:
        return str(error)
    return "read"


@pytest.mark.parametrize("count", [15, pytest.param(300, marks=pytest.mark.slow)])
def test_a_template_is_refused_in_one_line_or_read_as_it_is_written(sittings, count):
    luck, outcomes = random.Random(count), Counter()
    for _ in range(count):
        family = family_of(luck)
        try:
            outcomes[outcome(family, sittings)] += 1
        except AssertionError as error:
            raise AssertionError(family) from error
    assert outcomes["read"] > count / 2, outcomes
    assert "\n" not in "".join(outcomes)
