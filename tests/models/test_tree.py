"""The prefix tree computes every prompt as if it stood alone."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tiny
from saywhy.models.forward import FORWARD_WAYS, Forward, transformer_body
from saywhy.models.interface import Choice, Copy, Edit
from saywhy.models.sequences import ScoredSequence
from saywhy.models.tree import build_tree, shared_prefix, tree_batches

SEQUENCES = st.lists(st.lists(st.integers(0, 3), max_size=6).map(tuple), max_size=8)
_TAILS = st.lists(st.integers(3, 6), min_size=2, max_size=9).map(tuple)
GROUPS = st.lists(st.lists(_TAILS, min_size=1, max_size=4), min_size=1, max_size=5)
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(SEQUENCES)
def test_a_tree_spells_every_sequence_and_holds_each_beginning_once(sequences):
    tree = build_tree(sequences)
    assert [tuple(tree.tokens[node] for node in path) for path in tree.paths] == sequences
    beginnings = {ids[: n + 1] for ids in sequences for n in range(len(ids))}
    assert len(tree.tokens) == len(beginnings)
    for path in tree.paths:
        assert [tree.depths[node] for node in path] == list(range(len(path)))
        assert [tree.parents[node] for node in path] == [-1, *path][: len(path)]


@given(SEQUENCES.filter(any))
def test_a_token_sees_its_ancestors_and_itself(sequences):
    tree = build_tree(sequences)
    mask = tree.mask()
    for path in tree.paths:
        for at, node in enumerate(path):
            assert set(mask[node].nonzero()[0]) == set(path[: at + 1])


@given(SEQUENCES)
def test_the_shared_prefix_is_the_longest(sequences):
    shared = shared_prefix(sequences)
    assert all(ids[: len(shared)] == shared for ids in sequences)
    longer = {ids[: len(shared) + 1] for ids in sequences}
    assert not sequences or len(longer) > 1 or longer == {shared}


@given(SEQUENCES)
def test_branches_hold_every_token_once_below_its_ancestors(sequences):
    tree = build_tree(sequences)
    branches = list(tree.branches())
    assert [node for one in branches for node in range(one.first, one.first + one.size)] == [*range(len(tree.tokens))]
    for one in branches:
        assert [tree.parents[node] for node in range(one.first + 1, one.first + one.size)] == [
            *range(one.first, one.first + one.size - 1)
        ]
        assert [*one.above] == sorted(tree.mask()[one.first].nonzero()[0])[:-1]


@given(SEQUENCES, st.integers(1, 30))
def test_plots_cover_every_sequence_once_and_keep_to_the_limit(sequences, limit):
    planted = tree_batches(sequences, limit)
    assert all(planted)
    assert sorted(index for plot in planted for index in plot) == list(range(len(sequences)))
    for plot in planted:
        assert len(plot) == 1 or len(build_tree([sequences[index] for index in plot]).tokens) <= limit


def test_sequences_that_share_most_share_a_tree():
    variants = [(1, 2, 3, text, word) for word in range(4) for text in range(10)]
    assert [sorted(variants[i][3] for i in plot) for plot in tree_batches(variants, 13)] == [
        [text] * 4 + [text + 1] * 4 for text in range(0, 10, 2)
    ]


def plain(model, item):
    """Return the log-probabilities that the sequence has alone."""
    with torch.inference_mode():
        logits = model.model(input_ids=torch.tensor([item.ids]), use_cache=False).logits[0].float()
    likely = torch.log_softmax(logits, -1)
    return [likely[at - 1, item.ids[at]].item() for at in range(item.start, len(item.ids))]


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
@given(groups=GROUPS, prefix=st.integers(0, 12), data=st.data())
@FEW
def test_a_tree_is_as_good_as_one_by_one(loaded, architecture, groups, prefix, data):
    model = loaded(architecture)
    head = tuple(range(20, 20 + prefix))
    asked = [
        [ScoredSequence(head + ids, data.draw(st.integers(max(1, prefix), prefix + len(ids) - 1))) for ids in group]
        for group in groups
    ]
    for group, scores in zip(asked, model.score(asked), strict=True):
        for item, found in zip(group, scores, strict=True):
            assert found == pytest.approx(plain(model, item), abs=1e-4)


@pytest.mark.parametrize("way", FORWARD_WAYS)
@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_every_way_to_compute_a_tree_gives_the_same(loaded, monkeypatch, architecture, way):
    model = loaded(architecture)
    straight = flat(model.choose(choices()))
    monkeypatch.setattr(model, "forward", Forward(model.model, "tiny", (way,)))
    assert model.forward.way == way
    assert flat(model.choose(choices())) == pytest.approx(straight, abs=1e-4)


@pytest.mark.parametrize(
    ("architecture", "way"),
    [
        ("mistral, long window", "branches"),
        ("mistral, short window", "rows"),
        ("gemma2", "mask"),
        ("gpt_neo, short window", "rows"),
        ("llama4, short chunks", "rows"),
        ("mamba", "rows"),
    ],
)
def test_the_way_is_one_that_the_model_really_follows(architecture, way, capsys):
    model = tiny.OTHERS[architecture](420).eval()
    forward = Forward(model, "odd")
    assert forward.way == way
    told = capsys.readouterr().err
    assert ("model 'odd' takes no prefix tree, so every prompt is computed by itself" in told) == (way == "rows")
    # Also where a tree, or a prompt, is longer than a window that was not seen at load time.
    prompts = [tuple(range(3, 30)), *((*range(3, 20), n, *range(50, 90)) for n in range(30, 45)), tuple(range(3, 103))]
    for plot in forward.batches(prompts, 100_000):
        tree = build_tree([prompts[i] for i in plot])
        with torch.inference_mode():
            states = forward.states(tree)
            for i, path in zip(plot, tree.paths, strict=True):
                alone = transformer_body(model)(input_ids=torch.tensor([prompts[i]])).last_hidden_state[0]
                assert torch.allclose(states[list(path)], alone, atol=1e-4), i


def choices(texts=tiny.TEXTS):
    ask = [{"role": "user", "content": tiny.TASK.question}]
    return [
        Choice([{"role": "user", "content": f"{ask[0]['content']}\nTweet: {text}"}], options, prefix, ends)
        for text in texts
        for options, prefix, ends in [
            (("negative", "positive"), tiny.TASK.lead_in, False),
            (("great", "awful flight", "a"), "", True),
        ]
    ]


def flat(scores):
    return [value for group in scores for value in group]


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_one_by_one_is_as_good_as_many(loaded, architecture):
    model = loaded(architecture)
    together = flat(model.choose(choices()))
    alone = flat(model.choose([one])[0] for one in choices())
    assert together == pytest.approx(alone, abs=1e-4)


def test_the_order_of_choices_and_of_options_changes_nothing(tiny_model):
    asked = choices()
    straight = dict(zip(map(id, asked), tiny_model.choose(asked), strict=True))
    for order in (asked[::-1], asked[1::2] + asked[::2], asked * 2):
        for choice, found in zip(order, tiny_model.choose(order), strict=True):
            assert found == pytest.approx(straight[id(choice)], abs=1e-4)
    turned = [Choice(one.messages, one.options[::-1], one.prefix, one.ends) for one in asked]
    for choice, found in zip(asked, tiny_model.choose(turned), strict=True):
        assert found[::-1] == pytest.approx(straight[id(choice)], abs=1e-4)


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("prefix", ["", tiny.TASK.lead_in])
def test_an_option_that_begins_another_is_scored_by_its_own_tokens(tiny_model, prefix, ends):
    options = ("great", "great day", "great day late", "greatness", "great", "a")
    chat = tiny_model.chat
    messages = [{"role": "user", "content": f"{tiny.TASK.question}\nTweet: {tiny.TEXTS[0]}"}]
    rendered = chat.open(messages) + prefix
    [head] = chat.ids([rendered])
    [found] = tiny_model.choose([Choice(messages, options, prefix, ends)])
    for option, score in zip(options, found, strict=True):
        [whole] = chat.ids([rendered + (" " if prefix else "") + option + ("<|im_end|>" if ends else "")])
        assert score == pytest.approx(sum(plain(tiny_model, ScoredSequence(whole, len(head)))), abs=1e-4), option


def test_nothing_asked_is_nothing_answered(tiny_model):
    assert tiny_model.choose([]) == []
    assert tiny_model.weigh([], []) == ([], [])
    assert tiny_model.infill([], 3) == []


def test_the_shared_beginning_is_computed_once_a_run(tmp_path):
    model = tiny.load_exact(tiny.save(tmp_path))
    spent = []
    for texts in (tiny.TEXTS, tiny.TEXTS, tiny.TEXTS[::-1]):
        before = model.tokens
        model.choose(choices(texts)[::2])
        spent.append(model.tokens - before)
    assert spent[1] == spent[2] <= spent[0] - 20


def test_a_choice_is_the_log_probability_of_all_its_tokens(tiny_model):
    [choice] = choices()[1:2]
    chat = tiny_model.chat
    rendered = chat.open(choice.messages)
    [head] = chat.ids([rendered])
    for option, found in zip(choice.options, tiny_model.choose([choice])[0], strict=True):
        [whole] = chat.ids([rendered + option + "<|im_end|>"])
        assert found == pytest.approx(sum(plain(tiny_model, ScoredSequence(whole, len(head)))), abs=1e-4)


def test_a_departure_compares_the_edit_with_the_copy(tiny_model):
    chat, text = tiny_model.chat, "What a great sunny day"
    ask = [{"role": "user", "content": f"Copy the tweet.\nTweet: {text}"}]
    edits = (Edit("What a awful sunny day", 12), Edit("What a great sunny night", 24))
    rendered = chat.open(ask)
    [copied] = chat.ids([rendered + text + "\n"])
    for edit, found in zip(edits, tiny_model.weigh((), [Copy(ask, text, edits)])[1][0], strict=True):
        [edited] = chat.ids([rendered + edit.text + "\n"])
        fork = next(i for i, (a, b) in enumerate(zip(copied, edited, strict=False)) if a != b)
        [before] = chat.ids([rendered + edit.text[: edit.until]])
        assert found.begins == pytest.approx(plain(tiny_model, ScoredSequence(edited[: fork + 1], fork))[0], abs=1e-4)
        assert found.stays == pytest.approx(plain(tiny_model, ScoredSequence(copied[: fork + 1], fork))[0], abs=1e-4)
        inserted = sum(plain(tiny_model, ScoredSequence(edited[: len(before)], fork)))
        assert found.inserted == pytest.approx(inserted, abs=1e-4)
