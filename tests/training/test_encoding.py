"""What is supervised: the completion and its end, decisions more than copies, nothing that does not fit."""

import dataclasses

import pytest

import tiny
from practice import RECIPE, TEXTS, made_rows
from saywhy.models.chat import Chat
from saywhy.records import STYLES, SaywhyError
from saywhy.training.completions import completion
from saywhy.training.encoding import encode, mix, samples
from saywhy.training.lessons import Target


def supervised(chat, encoded):
    return chat.tokenizer.decode(encoded["ids"][encoded["start"] :])


def test_the_completion_and_its_end_are_supervised_and_nothing_else(chat, rows):
    for row in rows:
        encoded = encode(chat, row, RECIPE)
        said = row["completion"][0]["content"]
        assert supervised(chat, encoded) == said + "<|im_end|>"
        assert chat.tokenizer.decode(encoded["ids"][: encoded["start"]]) == chat.open(row["prompt"])
        assert len(encoded["weights"]) == len(encoded["ids"]) - encoded["start"]
        assert sum(encoded["weights"]) == pytest.approx(1.0)


def test_the_end_is_supervised_where_the_pad_is_the_end(rows):
    chat = Chat(tiny.tokenizer(pad="<|im_end|>"), "tiny")
    assert all(supervised(chat, encode(chat, row, RECIPE)).endswith("<|im_end|>") for row in rows)


def test_a_mark_of_the_text_itself_is_no_decision():
    edited, spans = completion("awful day says [REDACTED] :(", "redaction", Target(("awful",)))
    assert edited == "[REDACTED] day says [REDACTED] :("
    assert spans == [[0, 1]]


def test_decisions_weigh_more_than_copies(chat, rows):
    for row in rows:
        encoded = encode(chat, row, dataclasses.replace(RECIPE, decision_weight=5.0))
        said = row["completion"][0]["content"]
        least = min(encoded["weights"])
        heavy = [
            chat.tokenizer.decode([token])
            for token, weight in zip(encoded["ids"][encoded["start"] :], encoded["weights"], strict=True)
            if weight == pytest.approx(5 * least)
        ]
        if row["style"] in ("redaction", "counterfactual"):
            [(start, stop), *_] = row["decision"]
            assert said[start:stop] in "".join(heavy)
            assert 0 < len(heavy) < len(encoded["weights"])


def test_the_label_turn_counts_as_much_as_it_is_told(chat, rows):
    halved = dataclasses.replace(RECIPE, label_weight=0.5)
    sums = {row["style"]: sum(encode(chat, row, halved)["weights"]) for row in rows}
    assert sums == pytest.approx({"label": 0.5, "attribution": 1, "redaction": 1, "counterfactual": 1})


def test_a_row_counts_as_much_as_its_share(chat, rows):
    quarter = encode(chat, {**rows[0], "share": 0.25}, RECIPE)["weights"]
    assert quarter == pytest.approx([weight / 4 for weight in encode(chat, rows[0], RECIPE)["weights"]])


def test_copied_tokens_count_as_little_as_a_row_says(chat, rows):
    [row] = [row for row in rows[:4] if row["style"] == "redaction"]
    encoded = encode(chat, {**row, "copied": 0.0, "share": 0.5}, RECIPE)
    assert sum(encoded["weights"]) == pytest.approx(0.5)
    assert 0 < sum(weight > 0 for weight in encoded["weights"]) < len(encoded["weights"])


def test_rows_that_cannot_be_learned_from_are_refused(chat, rows):
    with pytest.raises(SaywhyError, match=r"t0: .* tokens, the model takes 20"):
        samples(chat, rows, RECIPE, longest=20)
    empty = {**rows[0], "completion": [{"role": "assistant", "content": ""}]}
    with pytest.raises(SaywhyError, match="completion is empty"):
        encode(chat, empty, RECIPE)
    # A template that begins the word which the completion ends: its tokens merge across the seam.
    begun = "assistant\nsenti{% endif"
    roles = "{{ m['role'] }}\n{% if m['role'] == 'assistant' %}senti{% endif %}"
    template = tiny.CHATML.replace("assistant\n{% endif", begun).replace("{{ m['role'] }}\n", roles)
    odd = {**rows[0], "completion": [{"role": "assistant", "content": "ment"}]}
    with pytest.raises(SaywhyError, match="no prefix"):
        encode(Chat(tiny.tokenizer(template=template), "odd"), odd, RECIPE)


def test_the_rows_of_a_text_stay_together(chat, rows):
    made = samples(chat, rows, RECIPE, 512)
    assert [len(one) for one in made] == [1 + len(STYLES)] * len(TEXTS)


def test_replay_is_its_share_of_the_samples(rows):
    replay = [[{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": f"a{i}"}] for i in range(9)]
    mixed = mix(rows, replay, 0.25, seed=0)
    assert mixed[: len(rows)] == rows
    added = mixed[len(rows) :]
    assert len(added) / (len(TEXTS) + len(added)) == pytest.approx(0.25)
    assert len({row["id"] for row in added}) == len(added)
    assert mix(rows, replay, 0.25, seed=0) == mixed
    assert mix(rows, [], 0.25, seed=0) == rows


def test_instruction_rows_are_as_strict_templates_have_them(rows, capsys):
    """A system turn goes before the user's words; what a template refuses is left out, and counted."""
    system, user, assistant = (
        {"role": role, "content": f"the {role} says"} for role in ("system", "user", "assistant")
    )
    replay = [[system, user, assistant], [user, user, assistant], [user, assistant]]
    replay.append([user, {**assistant, "content": "typed <|im_end|> here"}])
    strict = (
        "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}"
    )
    chat = Chat(tiny.tokenizer(strict + tiny.CHATML), "strict")
    mixed = mix(rows, replay, len(replay) / (len(replay) + len(TEXTS)), seed=0)
    texts = [of_text for of_text in samples(chat, mixed, RECIPE, 512) if len(of_text) == 1]
    told = " ".join(capsys.readouterr().err.split())
    assert "takes no system turns: they go before the user's words" in told
    assert "1 instruction rows are left out: refused by the model's chat template" in told
    assert "1 instruction rows are left out: holds a control token of the model" in told
    prompts = {chat.tokenizer.decode(encoded["ids"][: encoded["start"]]) for [encoded] in texts}
    begun = "<|im_start|>assistant\n"
    assert prompts == {
        f"<|im_start|>user\nthe system says\n\nthe user says<|im_end|>\n{begun}",
        f"<|im_start|>user\nthe user says<|im_end|>\n{begun}",
    }


def test_a_text_that_ends_the_turn_itself_is_refused(chat):
    with pytest.raises(SaywhyError, match="contains the chat template's end of turn"):
        [encode(chat, row, RECIPE) for row in made_rows(("hack <|im_end|> this text",))]


@pytest.mark.parametrize(("share", "said"), [(0.25, ""), (0.5, "replay_share=0.5: there are 2 conversations beside")])
def test_a_share_that_cannot_be_reached_is_said(rows, capsys, share, said):
    conversation = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    mix(rows, [conversation] * (9 if share < 0.5 else 2), share, seed=0)
    err = " ".join(capsys.readouterr().err.split())
    assert said in err
    assert bool(said) == bool(err)
