"""Replies are those of plain greedy decoding, however they are drafted, batched and stored."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tiny
from saywhy.models import replies
from saywhy.models.decode import Decoder, DecodeRequest
from saywhy.models.draft import FIRST_GUESS, Drafter, word_starts
from saywhy.models.forward import Forward
from saywhy.models.interface import Choice, Sampling
from saywhy.records import SaywhyError

CHATS = [
    [{"role": "user", "content": text}]
    for text in (*tiny.TEXTS, "What a great sunny day", "Copy the tweet.", "Copy the tweet, with one word replaced.")
]
ROOM = [12, 5, 30, 9, 1, 20]


def greedy(model, chats=CHATS, room=ROOM):
    """Return what transformers says to each chat alone."""
    said = []
    for chat, most in zip(chats, room, strict=True):
        [ids] = model.chat.ids([model.chat.open(chat)])
        said.append(model.chat.reply(alone(model, ids, most)))
    return said


def alone(model, prompt, room):
    """Return the tokens that transformers says to one prompt."""
    end = model.chat.end_of_turn[0]
    out = model.model.generate(
        input_ids=torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        max_new_tokens=room,
        do_sample=False,
        eos_token_id=end,
        pad_token_id=0,
    )
    new = out[0, len(prompt) :].tolist()
    return new[: new.index(end)] if end in new else new


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_replies_are_those_of_plain_greedy_decoding(loaded, architecture):
    model = loaded(architecture)
    ticks = []
    assert model.generate(CHATS, ROOM, ticks.append) == greedy(model)
    assert sum(ticks) == len(CHATS)


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_a_draft_changes_no_reply(loaded, architecture):
    """Right, half right, wrong and empty guesses: only the number of steps differs."""
    model = loaded(architecture)
    said = greedy(model)
    for guesses in (said, [one[: len(one) // 2] + " sad :(" for one in said], tiny.TEXTS * 2, [""] * len(said)):
        assert model.generate(CHATS, ROOM, copied=guesses) == said


def test_a_right_guess_saves_steps(tiny_model):
    [prompt] = tiny_model.chat.ids([tiny_model.chat.open(CHATS[2])])
    said, steps = [], []
    for drafter in (None, "right"):
        decoder = Decoder(tiny_model.forward, tiny_model.chat.end_of_turn[0], 500, 500)
        guess = drafter and Drafter(tuple(said[0]), frozenset(), [])
        decoder.decode([DecodeRequest(prompt, 30, guess)], lambda index, ids, cut: said.append(ids))
        steps.append(decoder.steps)
    assert said[0] == said[1]
    assert steps == [30, 2]


@pytest.mark.parametrize("places", [1, 90, 200])
def test_a_small_pool_is_shared_in_turns(tiny_model, monkeypatch, places):
    monkeypatch.setattr(replies, "cache_places", lambda model: places)
    assert tiny_model.generate(CHATS * 2, ROOM * 2, copied=tiny.TEXTS * 4) == greedy(tiny_model) * 2


def test_a_small_budget_takes_more_steps(tiny_model, monkeypatch):
    monkeypatch.setattr(tiny_model.budget, "tokens", 64)
    assert tiny_model.generate(CHATS, ROOM, copied=tiny.TEXTS * 2) == greedy(tiny_model)


def test_after_running_out_of_memory_only_what_is_missing_is_said_again(tiny_model, monkeypatch, capsys):
    packed, ticks = tiny_model.forward.packed, []

    def small_machine(plan, tokens, depths):
        if len(ticks) == 2 and tiny_model.budget.tokens == 400:
            raise MemoryError
        return packed(plan, tokens, depths)

    monkeypatch.setattr(tiny_model.forward, "packed", small_machine)
    monkeypatch.setattr(tiny_model.budget, "tokens", 400)
    assert tiny_model.generate(CHATS, ROOM, ticks.append) == greedy(tiny_model)
    assert sum(ticks) == len(CHATS)
    assert "out of memory: going on with 200 tokens at once" in capsys.readouterr().err


def test_prompts_that_are_equal_or_begin_one_another(tiny_model):
    [ids] = tiny_model.chat.ids([tiny_model.chat.open(CHATS[0])])
    prompts = [ids, ids[:-4], ids, (*ids, 40, 41), ids[:1], (*ids, 40), ids[:-4]]
    rooms = [6, 9, 2, 7, 5, 8, 1]
    said = {}
    for places in (1, 5000):
        for order in (range(len(prompts)), range(len(prompts) - 1, -1, -1)):
            decoder = Decoder(tiny_model.forward, tiny_model.chat.end_of_turn[0], 60, places)
            requests = [DecodeRequest(prompts[i], rooms[i]) for i in order]
            decoder.decode(requests, lambda at, found, cut, order=order: said.__setitem__(order[at], found))
            for prompt, room, found in zip(prompts, rooms, (said[i] for i in range(len(prompts))), strict=True):
                assert found == alone(tiny_model, prompt, room)


@pytest.mark.parametrize("copied", [(), tiny.TEXTS * 2])
def test_an_empty_reply_is_a_reply(tiny_model, monkeypatch, copied):
    end, ticks = tiny_model.chat.end_of_turn[0], []

    def silent(model, hidden):
        return torch.nn.functional.one_hot(torch.tensor([end] * len(hidden)), model.config.vocab_size).float()

    monkeypatch.setattr("saywhy.models.decode.logits", silent)
    assert tiny_model.generate(CHATS, ROOM, ticks.append, copied=copied) == [""] * len(CHATS)
    assert sum(ticks) == len(CHATS)


def test_nothing_asked_is_nothing_said(tiny_model):
    assert tiny_model.generate([], []) == []


@pytest.mark.parametrize("way", ["branches", "rows"])
def test_a_reply_ends_with_the_context(loaded, monkeypatch, way):
    """GPT-2 has a table of positions: beyond it there is nothing to look up, for no row of a batch."""
    model = loaded("gpt2")
    monkeypatch.setattr(model, "forward", Forward(model.model, "tiny", (way,)))
    chats = [[{"role": "user", "content": "day " * n}] for n in (480, 3, 470)]
    lengths = [len(ids) for ids in model.chat.ids([model.chat.open(chat) for chat in chats])]
    assert lengths[0] < 512
    said = model.generate(chats, [600, 40, 3])
    assert said == greedy(model, chats, [512 - lengths[0], 40, 3])


def test_a_chat_beyond_the_context_is_one_line(tiny_model):
    chat = [{"role": "user", "content": "day " * 600}]
    told = r"a chat of \d+ tokens is longer than the context of model '.*' \(512\)"
    with pytest.raises(SaywhyError, match=told):
        tiny_model.generate([chat], [3])
    with pytest.raises(SaywhyError, match=told):
        tiny_model.choose([Choice(chat, ("a", "b"))])


@pytest.mark.parametrize("pad", ["<|endoftext|>", "<|im_end|>"])
def test_without_a_tree_transformers_generates_the_same(tmp_path, pad):
    """Left padding and a mask that does not depend on pad == eos; a reply's length is its own."""
    model = tiny.load_exact(tiny.save(tmp_path, pad=pad))
    said = model.generate(CHATS, ROOM)
    assert all(said)
    model.forward = Forward(model.model, "tiny", ("rows",))
    assert model.generate(CHATS, ROOM) == said


TOKENS = st.integers(0, 5)


@given(st.lists(TOKENS, max_size=12).map(tuple), st.lists(TOKENS, max_size=20), st.integers(1, 8))
def test_a_drafter_follows_any_reply(source, said, step):
    drafter = Drafter(source, frozenset({0, 3, 6, len(source)}), [(4, 5, 0)])
    for first in range(0, len(said), step):
        guess = drafter.guess(step)
        assert len(guess) <= step
        now = said[first : first + step]
        right = next((i for i, (a, b) in enumerate(zip(guess, now, strict=False)) if a != b), min(len(guess), len(now)))
        drafter.follow(now, len(guess), right)


def test_a_drafter_steps_over_a_mark_and_over_a_replaced_word():
    source, starts, mark = (10, 11, 12, 13, 14, 1), frozenset({0, 1, 3, 4, 5}), (20, 21, 22)
    drafter = Drafter(source, starts, [mark])
    assert drafter.guess(50) == [*source]
    drafter.follow([10, 20], 6, 1)  # word 11, 12 gives way to the mark
    assert drafter.guess(50) == [21, 22, 13, 14, 1]
    drafter.follow([21, 22, 13, 30], 5, 3)  # 14 gives way to another word
    assert drafter.guess(50) == [1]


def test_a_drafter_follows_marks_in_a_row():
    drafter = Drafter((10, 11, 12, 13, 1), frozenset(range(5)), [(20, 21, 22)])
    drafter.follow([20, 21, 22], 5, 0)
    assert drafter.guess(50) == [11, 12, 13, 1]
    drafter.follow([20], 4, 0)
    drafter.copy_length = 50
    assert drafter.guess(50) == [21, 22, 12, 13, 1]


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(st.text(alphabet="ab '!", min_size=1, max_size=12))
def test_a_copy_may_go_on_at_every_word_and_mark(text):
    offsets = [(i, i + 1) for i in range(len(text))]
    for index in word_starts(text, offsets) - {len(text)}:
        assert index == 0 or not text[index].isalnum() or text[index - 1] == " "


def test_circles_are_guessed_once_a_reply_says_the_same_over_and_over():
    drafter = Drafter()
    drafter.follow([5, 7, 8], 0, 0)
    assert drafter.guess(6) == []
    drafter.follow([7, 8], 0, 0)
    assert drafter.guess(5) == [7, 8, 7, 8, 7]
    drafter.follow([7, 8, 7, 8, 7, 8], 5, 5)
    assert len(drafter.guess(100)) == 2 * FIRST_GUESS, "a guess that was all right makes the next one longer"
    drafter.follow([9], 5, 0)
    assert drafter.guess(6) == []


def test_a_text_that_repeats_itself_is_copied_and_not_taken_for_a_circle():
    source = (3, 3, 3, 3, 4, 9)
    drafter = Drafter(source, frozenset(range(6)))
    drafter.follow([3, 3, 3], 0, 0)
    assert drafter.guess(6) == [3, 4, 9]


@pytest.mark.parametrize("way", ["branches", "rows"])
def test_a_reply_knows_whether_it_was_cut_off(loaded, monkeypatch, way):
    model = loaded("llama")
    monkeypatch.setattr(model, "forward", Forward(model.model, "tiny", (way,)))
    end = model.chat.end_of_turn[0]
    [ids] = model.chat.ids([model.chat.open(CHATS[0])])
    # The reply ends where the model says the token that it says third, so rooms below, at and above that are known.
    third = alone(model, ids, 3)[2]
    assert end != third
    monkeypatch.setattr(model.chat, "end_of_turn", [third])
    length = len(alone(model, ids, 30))
    assert 0 < length < 3
    for room, cut in ((length, True), (length + 1, False), (length + 9, False)):
        [reply] = model.generate([CHATS[0]], [room])
        assert (reply, reply.cut) == (model.chat.reply(alone(model, ids, 30)), cut)


def sampled_by_hand(model, seeds, temperature=0.8):
    """Return what is drawn for each chat alone, token by token, from the whole distribution."""
    drawn = []
    for chat, most, seed in zip(CHATS, ROOM, seeds, strict=True):
        [ids] = model.chat.ids([model.chat.open(chat)])
        generator, tokens, end = torch.Generator().manual_seed(seed), [], model.chat.end_of_turn[0]
        while len(tokens) < most:
            with torch.inference_mode():
                scores = model.model(input_ids=torch.tensor([[*ids, *tokens]])).logits[0, -1]
            noise = -torch.empty_like(scores).exponential_(generator=generator).log()
            token = int((scores / temperature + noise).argmax())
            if token == end:
                break
            tokens.append(token)
        drawn.append(model.chat.reply(tokens))
    return drawn


@pytest.mark.parametrize("architecture", list(tiny.ARCHITECTURES)[:2])
@pytest.mark.parametrize("way", ["branches", "rows"])
def test_sampled_replies_are_draws_by_their_own_seed(loaded, architecture, way, monkeypatch):
    model = loaded(architecture)
    if way != "branches":
        monkeypatch.setattr(model.forward, "way", way)
    seeds = tuple(range(7, 7 + len(CHATS)))
    together = model.generate(CHATS, ROOM, sampling=Sampling(0.8, seeds))
    assert together == sampled_by_hand(model, seeds)
    alone = [
        model.generate([chat], [room], sampling=Sampling(0.8, (seed,)))[0]
        for chat, room, seed in zip(CHATS, ROOM, seeds, strict=True)
    ]
    assert together == alone
    assert together != model.generate(CHATS, ROOM, sampling=Sampling(0.8, tuple(seed + 50 for seed in seeds)))


def test_a_cold_sample_is_the_greedy_reply(loaded):
    model = loaded()
    assert model.generate(CHATS, ROOM, sampling=Sampling(1e-6, (1,) * len(CHATS))) == model.generate(CHATS, ROOM)
