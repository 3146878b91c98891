"""What a model kept: the loss is that of transformers, and the check of replies tells plain ones from broken ones."""

import json

import pytest
import torch

from saywhy import pocket
from saywhy.measure.retention import (
    MOST_CONVERSATION_WORDS,
    UNPLAIN_REASONS,
    chat_id,
    chat_losses,
    held_out_instructions,
    label_sentences,
    measure_retention,
    unplain_replies,
    usable_chats,
    why_not_plain,
)
from saywhy.models.scripted import ScriptedModel, honest, keyword_rule
from saywhy.protocol.prompts import prompt_sentences
from saywhy.records import SaywhyError
from tiny import PINNED, TASK

ICE = "Why does ice float on water?"
TRAIN = "Write two sentences about a train that is late."


def turns(*contents):
    return [{"role": ("user", "assistant")[at % 2], "content": said} for at, said in enumerate(contents)]


CHATS = [
    turns("What a sunny day?", "I love the great day, it was late again."),
    turns("The food?", "It was cold.", "Which word decided?", "Sad and terrible, with no word of the answer."),
    turns("Copy the tweet", "Copy the tweet, with one word replaced so that the answer is negative."),
]


def by_transformers(model, chat):
    """The loss of the assistant's turns, computed whole and by hand; their ends count."""
    ids = model.chat.ids([model.chat.tokenizer.apply_chat_template(chat, tokenize=False)])[0]
    text = model.chat.tokenizer.apply_chat_template(chat, tokenize=False)
    offsets = model.chat.ids_and_offsets([text])[0][1]
    spans, at = [], 0
    for turn in chat:
        at = text.index(turn["content"], at)
        if turn["role"] == "assistant":
            spans.append((at, at + len(turn["content"]) + len("<|im_end|>")))
        at += len(turn["content"])
    with torch.no_grad():
        logits = model.model(input_ids=torch.tensor([ids])).logits[0].float().log_softmax(-1)
    wanted = [i for i, (start, stop) in enumerate(offsets) if any(a <= start and stop <= b for a, b in spans)]
    return -sum(logits[i - 1, ids[i]].item() for i in wanted) / len(wanted)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_the_loss_is_that_of_transformers_in_any_batch(loaded, architecture):
    model, ticks = loaded(architecture), []
    found = chat_losses(model, CHATS, ticks.append)
    assert found == pytest.approx([by_transformers(model, chat) for chat in CHATS], abs=1e-4)
    assert sum(ticks) == len(CHATS)
    assert [chat_losses(model, [chat])[0] for chat in CHATS] == pytest.approx(found, abs=1e-5)
    assert chat_losses(model, []) == []


def test_rows_that_cannot_be_measured_are_counted_and_the_rest_goes_on(tiny_model):
    long = turns("Why?", "word " * (MOST_CONVERSATION_WORDS + 1))
    wide = turns("Why?", "x" * 2000)  # few words, many tokens
    control = turns("Why?", "<|im_end|> and more")
    kept, aside = usable_chats(tiny_model, [CHATS[0], long, wide, control, CHATS[1]])
    assert kept == CHATS[:2]
    assert aside == {
        f"more than {MOST_CONVERSATION_WORDS} words": 1,
        "longer than the model's context": 1,
        "holds a control token of the model": 1,
    }
    assert chat_losses(tiny_model, [turns("Why?", ""), CHATS[0]])[0] is None


def test_retention_is_what_is_kept_on_disk(tiny_model, tmp_path):
    folder = tmp_path / "data" / "replay"
    folder.mkdir(parents=True)
    rows = [*CHATS, turns("Why?", "word " * (MOST_CONVERSATION_WORDS + 1)), turns("And?", "Not asked for.")]
    (folder / "test.jsonl").write_text("".join(json.dumps({"messages": chat}) + "\n" for chat in rows), "utf-8")
    ticks = []
    for data in (tmp_path / "data", tmp_path / "data" / "sentiment140"):
        found = measure_retention(lambda: tiny_model, data, "test", 4, ticks.append)
        assert found["replay"]["source"] == "replay/test.jsonl"
        assert found["replay"]["ids"] == [chat_id(chat) for chat in CHATS]
        assert found["replay"]["losses"] == pytest.approx(chat_losses(tiny_model, CHATS), abs=1e-5)
        assert found["replay"]["n"] == 3
        assert found["replay"]["set_aside"] == {f"more than {MOST_CONVERSATION_WORDS} words": 1}
    asked = found["plain"]
    assert asked["n"] == len(asked["asked"]) == len(set(asked["asked"])) == len(asked["plain"]) == 24
    assert asked["plain"] == [reason is None for reason in asked["reasons"]]
    assert {reason for reason in asked["reasons"] if reason} <= set(UNPLAIN_REASONS)
    assert json.loads(json.dumps(found)) == found
    assert sum(ticks) == 2 * (3 + 24)
    assert len({chat_id(chat) for chat in rows}) == 5


def test_without_instruction_data_the_built_in_ones_are_taken(tiny_model, tmp_path, capsys):
    for data in (None, "pocket", tmp_path):
        chats, source = held_out_instructions(data, "validation")
        assert source == "built-in instructions"
        assert len(chats) == 24
    assert "no replay/validation.jsonl" in capsys.readouterr().err
    assert measure_retention(lambda: tiny_model, None, rows=5)["replay"]["n"] == 5
    (tmp_path / "replay").mkdir()
    (tmp_path / "replay" / "test.jsonl").write_text('{"messages": []}\n', "utf-8")
    with pytest.raises(SaywhyError, match=r"test\.jsonl:1: no list 'messages'"):
        held_out_instructions(tmp_path, "test")


def test_a_rule_says_that_it_has_no_loss():
    rule = keyword_rule(TASK, {"positive": {"great": 2.0}}, default="negative")
    toy = ScriptedModel("toy", TASK, rule, honest, PINNED)
    found = measure_retention(lambda: toy, None, rows=4)
    assert found["replay"]["n"] == 0
    assert found["replay"]["set_aside"] == {"the model has no loss for it": 4}
    assert set(found["plain"]["reasons"]) == {"empty"}


def test_the_built_in_instructions_are_plain_and_ask_for_sentences():
    found = pocket.instructions()
    assert len(found) == len({name for name, _, _ in found}) == len({asked for _, asked, _ in found}) == 24
    for _, asked, answer in found:
        assert 4 <= len(asked.split()) <= 20
        assert 12 <= len(answer.split()) <= 45
        assert answer.endswith(".")
        assert why_not_plain(asked, answer, label_sentences()) is None
    mine = {sentence.split("{")[0] for sentence in prompt_sentences().values()}
    assert not any(asked.startswith(start) for _, asked, _ in found for start in mine)


@pytest.mark.parametrize(
    ("instruction", "reply"),
    [
        (ICE, "Ice floats because it is less dense than liquid water."),
        (ICE, "Water expands when it freezes"),
        (ICE, "Why does ice float? Ice floats on water because it is lighter than water."),
        (TRAIN, "The train was late. It was very, very, very late, and nobody knew why."),
        (TRAIN, "The train is late again. The people on the platform wait and wait and wait."),
        ("Give three tips for someone who cannot fall asleep.", "1. Avoid coffee.\n2. Avoid screens.\n3. Avoid naps."),
        ("Tell me something about the moon.", "The sentiment of the poem is what moves us when we see the moon."),
        ("Name the seasons.", "Spring, summer, autumn, winter."),
    ],
)  # fmt: skip
def test_plain_replies_are_left_alone(instruction, reply):
    assert why_not_plain(instruction, reply, label_sentences()) is None


@pytest.mark.parametrize(
    ("instruction", "reply", "reason"),
    [
        (ICE, "", "empty"),
        (ICE, " \n", "empty"),
        (ICE, "...", "empty"),
        (ICE, "Why does [REDACTED] float on water?", "holds [REDACTED]"),
        (ICE, "Ice is [redacted] than water, so it floats.", "holds [REDACTED]"),
        (ICE, "The sentiment of the tweet is positive.", "label sentence"),
        (ICE, "The topic of the article  is technology, I think.", "label sentence"),
        (ICE, "the hypothesis is TRUE", "label sentence"),
        (ICE, "Water", "one word"),
        (ICE, "float.", "one word"),
        (ICE, "ice ice ice", "one word"),
        (ICE, "Why does ice float on water?", "copies the instruction"),
        (ICE, "Why does ice sink on water?", "copies the instruction"),
        (TRAIN, "Write two sentences about a bus that is late.", "copies the instruction"),
        (TRAIN, "write two sentences about a train that is early", "copies the instruction"),
        (TRAIN, "The train is late. The train is late. The train is late. The train is late. The tr", "repeats itself"),
        (TRAIN, "It was late, " + "and then it was late " * 5, "repeats itself"),
        ("Give three tips for sleep.", "1. Go to bed.\n2. Go to bed.\n3. Go to bed.\n4. Go to", "repeats itself"),
        (TRAIN, "Late " + "very " * 12, "repeats itself"),
    ],
)  # fmt: skip
def test_broken_replies_say_why(instruction, reply, reason):
    assert why_not_plain(instruction, reply, label_sentences()) == reason
    assert reason in UNPLAIN_REASONS


def test_label_sentences_of_other_tasks_can_be_told(monkeypatch):
    class Says:
        name = "says"

        def generate(self, chats, rooms, tick=None, *, copied=()):
            assert rooms == [64] * len(chats)
            return ["The guest is annoyed."] * len(chats)

    chats = [turns(ICE)]
    assert unplain_replies(Says(), chats) == [None]
    assert unplain_replies(Says(), chats, sentences=["The guest is annoyed"]) == ["label sentence"]
