"""What the benchmarks share: alternating rounds, kept rounds, medians and ratios, sections of RESULTS.md.

Every comparison runs its sides in turn, A B A B, so that a machine that is busy for a while is busy for both; ratios
are taken within a round, and the median over rounds is what counts. A finished round is written down at once: an
interrupted benchmark says so in one line, and the same command goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from saywhy.folders.store import read_json, write_json, write_text

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """What one side did in one round.

    Attributes:
        answer: What is compared with the other sides' answers.
        units: How many things were done (prompts, replies, rows): times are compared by the unit.
        tokens: Tokens computed, where the side computes them in another process; None: they are counted here.
    """

    answer: Any
    units: int
    tokens: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Lap:
    """What was measured of one side in one round.

    Attributes:
        seconds: By the clock.
        units: How many things were done.
        tokens: Tokens computed.
        heads: Places at which logits were made.
        processor: Seconds of all threads of this process, which other work on the machine hardly changes.
    """

    seconds: float
    units: int
    tokens: int
    heads: int
    processor: float = 0.0

    @property
    def pace(self) -> float:
        """Seconds a unit."""
        return self.seconds / max(1, self.units)


Side = Callable[[int], Done]
"""Takes the number of the round."""
Checked = dict[str, float]
"""How the answers of a round differ, by name."""
Check = Callable[[int, dict[str, Any]], Checked]
"""Takes the number of the round and the answers by side."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """All rounds of a comparison: the laps of each side, and what the check found in each round."""

    laps: dict[str, list[Lap]]
    checks: list[Checked]

    def seconds(self, side: str) -> float:
        """Return the median seconds of a round."""
        return statistics.median(lap.seconds for lap in self.laps[side])

    def total(self, side: str) -> Lap:
        """Return all rounds of a side as one lap."""
        laps = self.laps[side]
        return Lap(*(sum(getattr(lap, field.name) for lap in laps) for field in dataclasses.fields(Lap)))

    def ratio(self, other: str, ours: str) -> float:
        """Return how many times longer ``other`` takes than ``ours`` for a unit: the median over rounds."""
        pairs = zip(self.laps[other], self.laps[ours], strict=True)
        return statistics.median(other.pace / ours.pace for other, ours in pairs)

    def processor_ratio(self, other: str, ours: str) -> float:
        """Return ``ratio`` of the processor's seconds."""
        pairs = zip(self.laps[other], self.laps[ours], strict=True)
        return statistics.median(lap.processor * own.units / (own.processor * lap.units) for lap, own in pairs)

    def worst(self, name: str) -> float:
        """Return the largest value of a check over the rounds; not a number if it was never made."""
        return max((check[name] for check in self.checks if name in check), default=float("nan"))


class Ledger:
    """The finished rounds of one benchmark, kept in a file until its section is written.

    Rounds of other settings are dropped: they would be answers to another question.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], *, restart: bool = False) -> None:
        self.path = path
        plain = json.loads(json.dumps(dict(settings), default=str))
        kept = read_json(path) if path.is_file() and not restart else {}
        if kept.get("settings") != plain:
            kept = {"settings": plain, "rounds": {}, "facts": {}}
        self.kept: dict[str, Any] = kept

    @property
    def finished(self) -> int:
        """How many rounds are kept."""
        return sum(len(rounds) for rounds in self.kept["rounds"].values())

    def rounds(self, name: str) -> list[dict[str, Any]]:
        """Return the finished rounds of a comparison."""
        rounds: list[dict[str, Any]] = self.kept["rounds"].get(name, [])
        return rounds

    def add(self, name: str, laps: Mapping[str, Lap], check: Checked) -> None:
        """Write a finished round down."""
        line = {"laps": {side: dataclasses.asdict(lap) for side, lap in laps.items()}, "check": check}
        self.kept["rounds"].setdefault(name, []).append(line)
        self.save()

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return a fact (as JSON gives it back), found out once."""
        if name not in self.kept["facts"]:
            self.kept["facts"][name] = make()
            self.save()
        return json.loads(json.dumps(self.kept["facts"][name]))

    def save(self) -> None:
        """Write everything down."""
        write_json(self.path, self.kept)

    def close(self) -> None:
        """Forget the rounds: their results are written."""
        self.path.unlink(missing_ok=True)


def alternate(
    sides: Mapping[str, Side],
    rounds: int,
    ledger: Ledger,
    name: str,
    check: Check | None = None,
    count: Callable[[], tuple[int, int]] | None = None,
) -> Outcome:
    """Run every side in turn, for several rounds; rounds that are already in ``ledger`` are not run again.

    Args:
        sides: Name to what it does.
        rounds: How many rounds there are to be in all.
        ledger: Where finished rounds are kept.
        name: Of the comparison.
        check: Compares the answers of a round, after the clock has stopped.
        count: Returns (tokens computed, places with logits) so far.
    """
    count = count or (lambda: (0, 0))
    for number in range(len(ledger.rounds(name)), rounds):
        laps: dict[str, Lap] = {}
        answers: dict[str, Any] = {}
        for side, run in sides.items():
            tokens, heads = count()
            began, processor_began = time.perf_counter(), time.process_time()
            done = run(number)
            seconds, processor = time.perf_counter() - began, time.process_time() - processor_began
            counted = count()
            spent = counted[0] - tokens if done.tokens is None else done.tokens
            laps[side], answers[side] = Lap(seconds, done.units, spent, counted[1] - heads, processor), done.answer
        checks = check(number, answers) if check else {}
        ledger.add(name, laps, checks)
        timings = ", ".join(f"{side} {lap.seconds:.1f} s" for side, lap in laps.items())
        shown = "".join(f"; {key} {value:.2g}" for key, value in checks.items())
        progress(f"{name}: round {number + 1}/{rounds}: {timings}{shown}")
    kept = ledger.rounds(name)[:rounds]
    return Outcome(
        {side: [Lap(**entry["laps"][side]) for entry in kept] for side in sides},
        [dict(entry["check"]) for entry in kept],
    )


def fastest(candidates: Sequence[T], run: Callable[[T], object], what: str) -> list[T]:
    """Return the candidates, the fastest at ``run`` first; one of them is run once before, to warm up."""
    run(candidates[0])
    taken: list[float] = []
    for candidate in candidates:
        began = time.perf_counter()
        run(candidate)
        taken.append(time.perf_counter() - began)
    timings = ", ".join(f"{candidate}: {spent:.1f} s" for candidate, spent in zip(candidates, taken, strict=True))
    progress(f"{what}: {timings}")
    return [candidates[i] for i in sorted(range(len(candidates)), key=taken.__getitem__)]


def progress(line: str) -> None:
    """Print one line to the user."""
    print(line, file=sys.stderr, flush=True)


def write_section(path: Path, name: str, body: str) -> None:
    """Put ``body`` between the markers of section ``name``; everything else in the file stays as it is."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    old = path.read_text("utf-8") if path.is_file() else "# Results\n"
    block = f"{begin}\n{body.strip()}\n{end}"
    if begin in old and end in old:
        head, tail = old.split(begin, 1)[0], old.split(end, 1)[1]
        write_text(path, head + block + tail)
    else:
        write_text(path, f"{old.rstrip()}\n\n{block}\n")


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [list(header), ["---"] * len(header), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
