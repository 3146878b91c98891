"""The prefix tree computes every prompt as if it stood alone."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tiny
from saywhy.models.local import Scored, pack
from saywhy.models.protocol import Choice, Copy, Edit
from saywhy.models.tree import batches, grow, plots, shared_prefix

SEQUENCES = st.lists(st.lists(st.integers(0, 3), max_size=6).map(tuple), max_size=8)
_TAILS = st.lists(st.integers(3, 6), min_size=2, max_size=9).map(tuple)
GROUPS = st.lists(st.lists(_TAILS, min_size=1, max_size=4), min_size=1, max_size=5)
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(SEQUENCES)
def test_a_tree_spells_every_sequence_and_holds_each_beginning_once(sequences):
    tree = grow(sequences)
    assert [tuple(tree.tokens[node] for node in path) for path in tree.paths] == sequences
    beginnings = {ids[: n + 1] for ids in sequences for n in range(len(ids))}
    assert len(tree.tokens) == len(beginnings)
    for path in tree.paths:
        assert [tree.depths[node] for node in path] == list(range(len(path)))
        assert [tree.parents[node] for node in path] == [-1, *path][: len(path)]


@given(SEQUENCES.filter(any))
def test_a_token_sees_its_ancestors_and_itself(sequences):
    tree = grow(sequences)
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


@given(st.lists(SEQUENCES, max_size=6), st.integers(1, 30))
def test_plots_cover_every_group_once_in_order_and_keep_to_the_limit(groups, limit):
    planted = plots(groups, limit)
    assert all(planted)
    assert [index for plot in planted for index in plot] == list(range(len(groups)))
    for plot in planted:
        tree = grow([ids for index in plot for ids in groups[index]])
        assert len(plot) == 1 or len(tree.tokens) <= limit


def test_plots_keep_to_the_limit():
    variants = [[(1, 2, 3, text, word) for word in range(4)] for text in range(10)]
    assert plots(variants, 13) == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert plots(variants, 12) == [[text] for text in range(10)]
    assert plots(variants, 1) == [[text] for text in range(10)]


@given(st.lists(st.integers(1, 50), max_size=20), st.integers(1, 100))
def test_batches_cover_every_item_once_within_the_budget(sizes, budget):
    packed = batches(sizes, budget)
    assert sorted(item for batch in packed for item in batch) == list(range(len(sizes)))
    assert all(len(batch) == 1 or max(sizes[i] for i in batch) * len(batch) <= budget for batch in packed)


def test_a_padded_place_sees_itself_only():
    ids, positions, mask = pack([grow([(1, 2)]), grow([(1,)])], 3, 0, torch.float32)
    assert ids.tolist() == [[1, 2], [1, 0]]
    assert positions.tolist() == [[3, 4], [3, 0]]
    seen = (mask[:, 0] == 0).tolist()
    assert seen[0] == [[True] * 3 + [True, False], [True] * 5]
    assert seen[1] == [[True] * 3 + [True, False], [True] * 3 + [False, True]]


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
        [Scored(head + ids, data.draw(st.integers(max(1, prefix), prefix + len(ids) - 1))) for ids in group]
        for group in groups
    ]
    for group, scores in zip(asked, model.score(asked), strict=True):
        for item, found in zip(group, scores, strict=True):
            assert found == pytest.approx(plain(model, item), abs=1e-4)


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


@pytest.mark.parametrize("budget", [1, 300, 100_000])
def test_the_token_budget_changes_nothing(tiny_model, monkeypatch, budget):
    straight = flat(tiny_model.choose(choices()))
    monkeypatch.setattr(tiny_model, "token_budget", budget)
    assert flat(tiny_model.choose(choices())) == pytest.approx(straight, abs=1e-4)


@pytest.mark.parametrize("limit", [1, 10_000])
def test_the_size_of_a_tree_changes_nothing(tiny_model, monkeypatch, limit):
    straight = flat(tiny_model.choose(choices()))
    monkeypatch.setattr("saywhy.models.local.TREE_TOKENS", limit)
    assert flat(tiny_model.choose(choices())) == pytest.approx(straight, abs=1e-4)


def test_the_shared_beginning_is_computed_once(tiny_model):
    tiny_model.tokens = 0
    tiny_model.choose(choices()[:1] * 3)
    once = tiny_model.tokens
    tiny_model.tokens = 0
    tiny_model.choose(choices()[:1])
    assert once < 1.5 * tiny_model.tokens


def test_a_choice_is_the_log_probability_of_all_its_tokens(tiny_model):
    [choice] = choices()[1:2]
    chat = tiny_model.chat
    rendered = chat.open(choice.messages)
    [head] = chat.ids([rendered])
    for option, found in zip(choice.options, tiny_model.choose([choice])[0], strict=True):
        [whole] = chat.ids([rendered + option + "<|im_end|>"])
        assert found == pytest.approx(sum(plain(tiny_model, Scored(whole, len(head)))), abs=1e-4)


def test_a_departure_compares_the_edit_with_the_copy(tiny_model):
    chat, text = tiny_model.chat, "What a great sunny day"
    ask = [{"role": "user", "content": f"Copy the tweet.\nTweet: {text}"}]
    edits = (Edit("What a awful sunny day", 12), Edit("What a great sunny night", 24))
    rendered = chat.open(ask)
    [copied] = chat.ids([rendered + text + "\n"])
    for edit, found in zip(edits, tiny_model.depart([Copy(ask, text, edits)])[0], strict=True):
        [edited] = chat.ids([rendered + edit.text + "\n"])
        fork = next(i for i, (a, b) in enumerate(zip(copied, edited, strict=False)) if a != b)
        [before] = chat.ids([rendered + edit.text[: edit.until]])
        assert found.begins == pytest.approx(plain(tiny_model, Scored(edited[: fork + 1], fork))[0], abs=1e-4)
        assert found.stays == pytest.approx(plain(tiny_model, Scored(copied[: fork + 1], fork))[0], abs=1e-4)
        inserted = sum(plain(tiny_model, Scored(edited[: len(before)], fork)))
        assert found.inserted == pytest.approx(inserted, abs=1e-4)
