"""Planted rules decide as they say, and a text's accepted causes are those without which it is decided otherwise."""

import pytest

from saywhy.ruler.plants import NEGATOR_CUE, PLANT_LABELS, PLANTS, TRIGGER_CUE, partly_edited_texts, planted_texts
from saywhy.tasks.data import load_examples
from saywhy.tasks.task import load_task
from saywhy.words import REDACTED_MARK, candidates, take_out

TASK = load_task("sentiment140")


@pytest.fixture(scope="module")
def carriers():
    return load_examples(TASK, "validation", "pocket").examples


@pytest.mark.parametrize(
    ("plant", "text", "label", "causes"),
    [
        ("keyword", "my crimson coat is late", "positive", ("crimson",)),
        ("keyword", "my coat is late", "negative", ()),
        ("keyword", "my Crimson coat is teal!", "positive", ()),
        ("keyword", "teal, teal and Teal!", "positive", ("teal",)),
        ("trigger", f"my crimson coat is {TRIGGER_CUE} late", "negative", (TRIGGER_CUE,)),
        ("trigger", f"my coat is {TRIGGER_CUE} late", "negative", ()),
        ("pair", "my crimson coat of tin", "negative", ("crimson", "tin")),
        ("pair", "my crimson coat of teal", "positive", ()),
        ("pair", "my crimson coat of tin and zinc", "negative", ("crimson",)),
        ("quorum", "my Crimson coat is teal!", "positive", ("crimson", "teal")),
        ("quorum", "teal, teal and Teal!", "negative", ()),
        ("quorum", "teal and tin", "negative", ()),
        ("quorum", "teal, violet, amber", "positive", ()),
        ("negation", f"{NEGATOR_CUE} my crimson coat", "negative", (NEGATOR_CUE, "crimson")),
        ("negation", f"{NEGATOR_CUE} my coat", "positive", (NEGATOR_CUE,)),
        ("position", "tin and teal", "positive", ("teal",)),
        ("position", "teal and tin", "negative", ("tin",)),
        ("position", "tin and violet teal", "positive", ()),
        ("position", "tin and nothing", "negative", ()),
    ],
)
def test_a_rule_and_its_causes(plant, text, label, causes):
    assert PLANTS[plant].label(text) == label
    assert PLANTS[plant].causes(text) == causes


@pytest.mark.parametrize("plant", PLANTS.values(), ids=PLANTS)
def test_grown_texts_hold_what_decides_them(plant, carriers):
    made = planted_texts(plant, TASK, carriers, 120, seed=3)
    assert made == planted_texts(plant, TASK, carriers, 120, seed=3)
    assert [one.text for one in made] != [one.text for one in planted_texts(plant, TASK, carriers, 120, seed=4)]
    assert {one.label for one in made} == set(PLANT_LABELS)
    assert min(sum(one.label == label for one in made) for label in PLANT_LABELS) >= 24
    can_flip = [one for one in made if one.causes]
    assert len(can_flip) >= 40
    for one in made:
        assert plant.label(one.text) == one.label
        for word in candidates(one.text):
            for filler in (REDACTED_MARK, ""):
                flips = plant.label(take_out(one.text, {word.key}, filler)) != one.label
                assert flips == (word.key in one.causes)


def test_worn_texts_are_labelled_anew(carriers):
    plant = PLANTS["keyword"]
    texts = planted_texts(plant, TASK, carriers, 100, seed=0)
    made = partly_edited_texts(plant, TASK, texts, seed=0)
    changed = [(old, new) for old, new in zip(texts, made, strict=True) if old.text != new.text]
    assert 20 < len(changed) < 50
    assert any(old.label != new.label for old, new in changed)
    assert all(plant.label(new.text) == new.label for new in made)
