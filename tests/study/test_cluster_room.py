"""Room for workers is that of single machines and cards, as Ray gives it; no Ray is needed."""

import pytest

from saywhy.study.room import Share, free_share, room_on


@pytest.mark.parametrize(
    ("needed", "machine", "count"),
    [
        ({"CPU": 1}, {"CPU": 4.0}, 4),
        ({"CPU": 4}, {"CPU": 3.0}, 0),
        ({"CPU": 0.1}, {"CPU": 1.0}, 10),
        ({"CPU": 1, "GPU": 1}, {"CPU": 8.0}, 0),
        ({"CPU": 1, "GPU": 0.6}, {"CPU": 8.0, "GPU": 2.0}, 2),
        ({"CPU": 1, "GPU": 0.25}, {"CPU": 8.0, "GPU": 2.0}, 8),
        ({"CPU": 1, "GPU": 2}, {"CPU": 8.0, "GPU": 3.0}, 1),
        ({"CPU": 1, "memory": 24e9}, {"CPU": 8.0, "memory": 60e9}, 2),
    ],
)
def test_as_many_as_it_has_room_for_find_a_share(needed, machine, count):
    assert room_on(needed, machine) == count
    shares = []
    while share := free_share(needed, {"a": machine}, shares):
        shares.append(share)
    assert len(shares) == count


def test_what_is_free_on_two_machines_is_no_room():
    machines = {"a": {"CPU": 4.0}, "b": {"CPU": 4.0}}
    shares = [Share(name, {"CPU": 1}) for name in ("a", "a", "b", "b")]
    assert free_share({"CPU": 4}, machines, shares) is None
    assert free_share({"CPU": 2}, machines, shares) == Share("a", {"CPU": 2})
    assert free_share({"CPU": 4}, machines, shares[:2]) == Share("b", {"CPU": 4})


def test_what_is_free_on_two_cards_is_no_card():
    machines = {"a": {"CPU": 8.0, "GPU": 2.0}}
    shares = [Share("a", {"CPU": 1, "GPU": 0.5}, (card,)) for card in (0, 1)]
    assert free_share({"CPU": 1, "GPU": 1}, machines, shares) is None
    assert free_share({"CPU": 1, "GPU": 1}, machines, shares[:1]).cards == (1,)
    assert free_share({"CPU": 1, "GPU": 0.5}, machines, shares[:1]).cards == (0,), "a card is filled before another"


def test_workers_are_spread_over_machines():
    machines = {"a": {"CPU": 4.0}, "b": {"CPU": 4.0}}
    assert free_share({"CPU": 1}, machines, [Share("a", {"CPU": 1})]).machine == "b"
