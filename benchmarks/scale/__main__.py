"""What a full grid of studies costs on larger models and more cards: the tables of docs/scale.md.

Nothing is computed on a card: tokens are counted on texts with the default model's tokenizer (kept in a file beside
this one; --count does it anew), grown to 7B, 8B and 13B by their operations, and the study's own steps run through a
simulation of 1, 8 and 64 cards. What is assumed stands in growth.py and report.py, low and high.

Examples:
  python -m benchmarks.scale
  python -m benchmarks.scale --card a100 --styles 3
  python -m benchmarks.scale --count --data FOLDER --texts 16
  python -m benchmarks.scale --study studies/small.yaml --tokens small.json --count
  python -m benchmarks.scale --alone runs/one --spread runs/left,runs/right
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.common import write_section
from benchmarks.scale.check import growth_table, journal_of, simulation_table
from benchmarks.scale.growth import CARDS
from benchmarks.scale.picture import draw
from benchmarks.scale.report import (
    Grid,
    cards_table,
    chains_table,
    cost_table,
    counts_table,
    kinds_table,
    trouble_table,
)
from benchmarks.scale.tokens import count_tokens, read_counts
from benchmarks.script import ROOT, positive, run
from saywhy.folders.store import read_object, write_json
from saywhy.records import STYLES, SaywhyError
from saywhy.study.expand import plan_units
from saywhy.study.plan import StudyPlan
from saywhy.study.read import read_plan
from saywhy.study.steps import steps_of_units, work_of_steps

HERE = Path(__file__).resolve().parent
PAGE, PICTURE = ROOT / "docs" / "scale.md", ROOT / "docs" / "images" / "scale.png"
CHECKED_BANK, CHECKED_TOKENS = ROOT / "results" / "small", HERE / "tokens-small.json"


def styles(text: str) -> int:
    """Return a number of styles, a multiple of today's."""
    count = positive(text)
    if count % len(STYLES):
        raise argparse.ArgumentTypeError(f"{count} styles: give a multiple of today's {len(STYLES)}")
    return count


def folders(text: str) -> list[Path]:
    """Return the folders of a list with commas."""
    return [Path(name) for name in text.split(",")]


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, default=ROOT / "studies" / "grid7b.yaml", help="study file")
    parser.add_argument("--tokens", type=Path, default=HERE / "tokens-grid7b.json", help="counted tokens a text")
    parser.add_argument("--count", action="store_true", help="count the tokens anew, write them to --tokens, and end")
    parser.add_argument("--data", default="pocket", help="folder of the texts that are counted; default: built-in ones")
    parser.add_argument("--texts", type=positive, default=16, help="texts a task that are counted (default 16)")
    parser.add_argument("--model", default="smollm2-135m", help="whose tokenizer counts; default %(default)s")
    parser.add_argument("--styles", type=styles, default=6, help="styles of the protocol (default 6)")
    parser.add_argument("--card", choices=sorted(CARDS), default="h100", help="default %(default)s")
    parser.add_argument("--alone", type=Path, help="a study that one process has finished, to check the simulation by")
    parser.add_argument("--spread", type=folders, default=[], help="the same study, done side by side by seeds")
    parser.add_argument("--quick", action="store_true", help="print only: docs/scale.md and its picture stay")
    return parser.parse_args()


def kept_counts(path: Path, plan: StudyPlan) -> Mapping[str, Any]:
    """Return a file of counted tokens.

    Raises:
        SaywhyError: If it is not there, or lacks a kind of work of the study.
    """
    if not path.is_file():
        raise SaywhyError(f"{path} is not there: add --count to count the tokens of the study's texts")
    kept: Mapping[str, Any] = read_object(path, "counts", "words")
    work = work_of_steps(plan, steps_of_units(plan, plan_units(plan))).values()
    needed = {" ".join(part.rate) for parts in work for part in parts if part.count}
    if missing := sorted(needed - set(kept["counts"])):
        raise SaywhyError(
            f"{path} has no tokens of '{missing[0]}', which study {plan.name} has: give another --tokens=FILE, with "
            "--count"
        )
    return kept


def main() -> None:
    """Print the tables, and write them into the page."""
    options = parse()
    plan = read_plan(options.study)
    if options.count:
        write_json(options.tokens, count_tokens(plan, options.model, options.data, options.texts))
        return
    if options.alone:
        tables = {"simulation": simulation_table(options.alone, options.spread)}
    else:
        kept = kept_counts(options.tokens, plan)
        priced = Grid(plan, read_counts(kept), options.styles, CARDS[options.card])
        tables = {
            "tokens": counts_table(plan, priced.counts, kept["words"]),
            "cost": cost_table(priced),
            "kinds": kinds_table(priced),
            "cards": cards_table(priced),
            "chains": chains_table(priced),
            "trouble": trouble_table(priced),
            "growth": growth_table(CHECKED_BANK, read_counts(kept_counts(CHECKED_TOKENS, journal_of(CHECKED_BANK)[0]))),
        }
        if not options.quick:
            draw(priced, PICTURE)
    for name, table in tables.items():
        print(f"\n{name}\n\n{table}")
        if not options.quick:
            write_section(PAGE, name, table)


if __name__ == "__main__":
    run("scale", main)
