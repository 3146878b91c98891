"""How much is computed at once: never more than the budget, less when memory runs out, and always the same numbers."""

import pytest
import torch

import tiny
from saywhy.attribution import METHODS, MethodOptions
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models import memory, replies
from saywhy.models.forward import FORWARD_WAYS, Forward
from saywhy.models.interface import Choice, Gap, Guide
from saywhy.models.memory import FIRST_PAUSE, TokenBudget, is_out_of_memory
from saywhy.protocol.prompts import question_chat
from saywhy.protocol.templates import reply_templates
from saywhy.records import SaywhyError

CHOICES = [
    Choice(question_chat(tiny.TASK, text, {}), options, prefix, ends)
    for text in tiny.TEXTS
    for options, prefix, ends in [
        (("negative", "positive"), tiny.TASK.lead_in, False),
        (("great", "awful flight", "a"), "", True),
    ]
]
CHATS = [choice.messages for choice in CHOICES[::2]]
ROOM = [12, 5, 20]
NO_MEMORY = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")


def flat(scores):
    return [value for group in scores for value in group]


@pytest.fixture
def spent(tiny_model, monkeypatch):
    """Return a list that gets the number of tokens of each pass through the layers."""
    sizes, real = [], tiny_model.model.base_model.forward

    def counted(*args, **kwargs):
        sizes.append(next(one for one in (kwargs.get("input_ids"), kwargs.get("inputs_embeds")) if one is not None))
        return real(*args, **kwargs)

    monkeypatch.setattr(tiny_model.model.base_model, "forward", counted)
    return lambda: [one.shape[0] * one.shape[1] for one in sizes]


def with_way(model, monkeypatch, way):
    monkeypatch.setattr(model, "forward", Forward(model.model, "tiny", (way,)))


def with_budget(model, monkeypatch, tokens):
    monkeypatch.setattr(model, "budget", TokenBudget(model.model, tokens))
    monkeypatch.setattr(model, "_prefixes", {})


@pytest.mark.parametrize("way", FORWARD_WAYS)
@pytest.mark.parametrize("budget", [90, 200, 100_000])
def test_no_pass_is_larger_than_the_budget_and_no_number_hangs_on_it(tiny_model, monkeypatch, spent, way, budget):
    straight = flat(tiny_model.choose(CHOICES))
    with_way(tiny_model, monkeypatch, way)
    with_budget(tiny_model, monkeypatch, budget)
    before = len(spent())
    assert flat(tiny_model.choose(CHOICES)) == pytest.approx(straight, abs=1e-4)
    assert max(spent()[before:]) <= budget


def test_a_batch_that_shares_much_is_no_larger_where_every_prompt_is_computed_by_itself(tiny_model, monkeypatch, spent):
    """Fifty words behind one chat are one small tree, but fifty long rows."""
    many = [Choice(CHATS[0], tuple(f"w{n}" for n in range(50)), "", ends=True)]
    straight = flat(tiny_model.choose(many))
    with_way(tiny_model, monkeypatch, "rows")
    with_budget(tiny_model, monkeypatch, 200)
    before = len(spent())
    assert flat(tiny_model.choose(many)) == pytest.approx(straight, abs=1e-4)
    assert max(spent()[before:]) <= 200


@pytest.mark.parametrize("way", FORWARD_WAYS)
def test_a_budget_below_one_row_is_one_line_for_one_row_and_for_many(tiny_model, monkeypatch, spent, way):
    with_way(tiny_model, monkeypatch, way)
    with_budget(tiny_model, monkeypatch, 12)
    before = len(spent())
    told = r"a text needs \d+ tokens at once, more than the budget of 12: raise token_budget, or free memory"
    for few in (CHOICES, CHOICES[:1], CHOICES[1:2]):
        with pytest.raises(SaywhyError, match=told):
            tiny_model.choose(few)
    with pytest.raises(SaywhyError, match=told):
        tiny_model.generate(CHATS[:1], ROOM[:1])
    with pytest.raises(SaywhyError, match=told):
        tiny_model.infill([Gap(CHATS[0], "What a")], 2)
    assert all(size <= 12 for size in spent()[before:])


def test_a_text_longer_than_what_is_computed_at_once_is_still_computed_where_nobody_asked(tiny_model, monkeypatch):
    """A default chosen for speed must not refuse a row that the memory holds."""
    straight = flat(tiny_model.choose(CHOICES))
    said = tiny_model.generate(CHATS, ROOM)
    monkeypatch.setitem(memory.MOST_TOKENS, "cpu", 16)
    with_budget(tiny_model, monkeypatch, None)
    assert tiny_model.budget.tokens == 16
    for way in FORWARD_WAYS:
        with_way(tiny_model, monkeypatch, way)
        assert flat(tiny_model.choose(CHOICES)) == pytest.approx(straight, abs=1e-4)
        assert tiny_model.generate(CHATS, ROOM) == said


def small_machine(model, monkeypatch, most, error=NO_MEMORY):
    """Let every pass of more than ``most`` tokens run out of memory."""
    real = model.model.base_model.forward

    def forward(*args, **kwargs):
        given = next(one for one in (kwargs.get("input_ids"), kwargs.get("inputs_embeds")) if one is not None)
        if given.shape[0] * given.shape[1] > most:
            raise error
        return real(*args, **kwargs)

    monkeypatch.setattr(model.model.base_model, "forward", forward)


@pytest.mark.parametrize("error", [NO_MEMORY, MemoryError()], ids=["allocator", "python"])
@pytest.mark.parametrize("way", FORWARD_WAYS)
def test_running_out_of_memory_halves_the_budget_and_changes_nothing(tiny_model, monkeypatch, capsys, way, error):
    straight, said = flat(tiny_model.choose(CHOICES)), tiny_model.generate(CHATS, ROOM)
    with_way(tiny_model, monkeypatch, way)
    with_budget(tiny_model, monkeypatch, 640)
    small_machine(tiny_model, monkeypatch, 100, error)
    ticks = []
    assert flat(tiny_model.choose(CHOICES, ticks.append)) == pytest.approx(straight, abs=1e-4)
    assert sum(ticks) == len(CHOICES)
    with_budget(tiny_model, monkeypatch, 640)
    ticks.clear()
    assert tiny_model.generate(CHATS, ROOM, ticks.append) == said
    assert sum(ticks) == len(CHATS)
    assert "out of memory: going on with" in capsys.readouterr().err


LONG = [[{"role": "user", "content": f"{word} " * 60}] for word in ("great", "sad", "day")]


def test_the_shared_beginning_may_run_out_of_memory_too(tiny_model, monkeypatch, capsys):
    asked = [Choice([{"role": "user", "content": "great " * 120}], ("a", "b"))]
    [length] = map(len, tiny_model.chat.ids([tiny_model.chat.open(asked[0].messages)]))
    assert 100 < length < 160
    straight = flat(tiny_model.choose(asked))
    with_budget(tiny_model, monkeypatch, 640)
    small_machine(tiny_model, monkeypatch, 100)
    assert flat(tiny_model.choose(asked)) == pytest.approx(straight, abs=1e-4)
    assert tiny_model.budget.tokens == 80
    assert "going on with 80 tokens" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("way", ["branches", "rows"])
def test_a_machine_that_holds_nothing_is_said_in_one_line(tiny_model, monkeypatch, way):
    with_way(tiny_model, monkeypatch, way)
    for ask in (lambda: tiny_model.choose(CHOICES), lambda: tiny_model.generate(CHATS, ROOM)):
        with_budget(tiny_model, monkeypatch, 640)
        with monkeypatch.context() as patch:
            small_machine(tiny_model, patch, 0)
            with pytest.raises(SaywhyError, match=r"more than the budget of|does not hold \d+ tokens at once"):
                ask()


def test_the_pool_of_keys_shrinks_with_the_budget(tiny_model, monkeypatch):
    said, asked, real = tiny_model.generate(LONG, ROOM), [], replies.Decoder

    def decoder(forward, end, tokens, places):
        asked.append((tokens, places))
        return real(forward, end, tokens, places)

    monkeypatch.setattr(replies, "Decoder", decoder)
    monkeypatch.setattr(replies, "cache_places", lambda model: 4000)
    with_budget(tiny_model, monkeypatch, 640)
    small_machine(tiny_model, monkeypatch, 100)
    assert tiny_model.generate(LONG, ROOM) == said
    assert asked == [(640, 4000), (320, 2000), (160, 1000), (80, 500)]


def test_beginnings_are_kept_as_long_as_they_are_few(tiny_model, monkeypatch):
    with_budget(tiny_model, monkeypatch, 150)
    for choice in CHOICES * 2:
        tiny_model.choose([choice])
        assert sum(map(len, tiny_model._prefixes)) <= 150
    assert tiny_model._prefixes


def test_what_is_asked_of_one_text_is_computed_once(tiny_model, monkeypatch):
    """The question about a text, its answer, its explanations: the same numbers, and fewer tokens."""
    with_budget(tiny_model, monkeypatch, 100_000)
    monkeypatch.setattr(tiny_model, "_beginnings", [])
    texts = ["what a great sunny day it was for all of us", "a bad bad day"]
    chats = [question_chat(tiny.TASK, text, {}) for text in texts]
    later = [[*chat, {"role": "assistant", "content": "positive"}, *chats[0][-1:]] for chat in chats]
    asked = [Choice(chat, ("great", "bad"), "The word is") for chat in (*chats, *later)]
    guides = [
        Guide(chat, tuple(reply_templates("redaction", text, ())), bool)
        for chat, text in zip(later, texts, strict=True)
    ]

    def answers():
        before = tiny_model.tokens
        scores = [tiny_model.choose([choice])[0] for number in (0, 1) for choice in asked[number::2]]
        replies = [tiny_model.guide([guide])[0] for guide in guides]
        return scores, replies, tiny_model.tokens - before

    alone, replies, most = answers()
    with_budget(tiny_model, monkeypatch, 100_000)
    tiny_model.keep_beginning(chats)
    kept = []
    for number, chat in enumerate(chats):
        tiny_model.keep_beginning([chat], of_text=True)
        before = tiny_model.tokens
        kept += [tiny_model.choose([choice])[0] for choice in asked[number::2]]
        assert tiny_model.guide([guides[number]]) == [replies[number]]
        assert tiny_model.tokens - before < most / 2
        assert len(tiny_model._prefixes) == 1  # the text before is forgotten
    assert torch.tensor(kept) == pytest.approx(torch.tensor(alone), abs=1e-4)


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("x"), True),
        (NO_MEMORY, True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:114] data. DefaultCPUAllocator: not enough memory: ..."), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_what_is_want_of_memory(error, is_one):
    assert is_out_of_memory(error) == is_one


GRADIENTS = ("gradient_x_input", "integrated_gradients")


def asked_for_gradients(model):
    classifier = Classifier(model, tiny.TASK, dict.fromkeys(tiny.TASK.labels, 0.0))
    examples = tiny.examples()
    return classifier, [Item(*pair) for pair in zip(examples, classifier.predict_examples(examples), strict=True)]


def test_gradients_halve_the_budget_too(tiny_model, monkeypatch, capsys):
    classifier, items = asked_for_gradients(tiny_model)
    straight = METHODS["integrated_gradients"](classifier, items, MethodOptions(steps=16))
    with_budget(tiny_model, monkeypatch, 4096)
    small_machine(tiny_model, monkeypatch, 300)
    found = METHODS["integrated_gradients"](classifier, items, MethodOptions(steps=16))
    for one, other in zip(straight, found, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-5)
        assert one.gap == pytest.approx(other.gap, abs=1e-5)
    assert "out of memory: going on with" in capsys.readouterr().err
    assert tiny_model.budget.tokens < 4096


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_of_a_text_that_do_not_fit_are_one_line(tiny_model, monkeypatch, name):
    classifier, items = asked_for_gradients(tiny_model)
    with_budget(tiny_model, monkeypatch, 4096)
    small_machine(tiny_model, monkeypatch, 20)
    with pytest.raises(SaywhyError, match=r"the memory does not hold \d+ tokens at once"):
        METHODS[name](classifier, items, MethodOptions(steps=16))


@pytest.mark.parametrize("way", FORWARD_WAYS)
def test_another_error_is_not_taken_for_want_of_memory(tiny_model, monkeypatch, way):
    classifier, items = asked_for_gradients(tiny_model)
    with_way(tiny_model, monkeypatch, way)
    small_machine(tiny_model, monkeypatch, 5, RuntimeError("shapes do not match"))
    before = tiny_model.budget.tokens
    for ask in (
        lambda: tiny_model.choose(CHOICES),
        lambda: tiny_model.generate(CHATS, ROOM),
        *(lambda name=name: METHODS[name](classifier, items, MethodOptions(steps=16)) for name in GRADIENTS),
    ):
        with pytest.raises(RuntimeError, match="shapes do not match"):
            ask()
    assert tiny_model.budget.tokens == before


@pytest.mark.parametrize("name", GRADIENTS)
def test_a_model_that_gives_no_gradients_is_named(tiny_model, monkeypatch, name):
    classifier, items = asked_for_gradients(tiny_model)
    real = tiny_model.model.base_model.forward
    monkeypatch.setattr(tiny_model.model.base_model, "forward", torch.no_grad()(real))
    monkeypatch.setattr(tiny_model.model.get_output_embeddings(), "forward",
                        torch.no_grad()(tiny_model.model.get_output_embeddings().forward))  # fmt: skip
    with pytest.raises(SaywhyError, match=r"gives no gradients: use methods=occlusion"):
        METHODS[name](classifier, items, MethodOptions(steps=16))


def test_some_time_after_memory_ran_out_the_first_budget_is_taken_again(tiny_model, monkeypatch, capsys):
    straight, now = flat(tiny_model.choose(CHOICES)), [1000.0]
    monkeypatch.setattr("saywhy.models.memory.time.monotonic", lambda: now[0])
    with_budget(tiny_model, monkeypatch, 640)
    with monkeypatch.context() as short:
        small_machine(tiny_model, short, 100)
        tiny_model.choose(CHOICES)
        halved = tiny_model.budget.tokens
        assert halved < 640
    now[0] += FIRST_PAUSE
    tiny_model.choose(CHOICES)
    assert tiny_model.budget.tokens == halved
    now[0] += 1
    assert flat(tiny_model.choose(CHOICES)) == pytest.approx(straight, abs=1e-4)
    assert (tiny_model.budget.tokens, tiny_model.budget.longest) == (640, 640)
    assert "computing 640 tokens at once again" in " ".join(capsys.readouterr().err.split())


def test_a_machine_that_stays_short_of_memory_is_tried_ever_more_seldom(tiny_model, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("saywhy.models.memory.time.monotonic", lambda: now[0])
    with_budget(tiny_model, monkeypatch, 640)
    small_machine(tiny_model, monkeypatch, 100)
    tried = []
    for _ in range(20):
        tiny_model.choose(CHOICES)
        now[0] += FIRST_PAUSE + 1
        tiny_model.budget.recover()
        tried.append(tiny_model.budget.tokens == 640)
    assert 1 < sum(tried) < 6
