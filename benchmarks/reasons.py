"""Do shown reasons hold? Decisions of each effort, put to the whole leave-one-word-out tables of an audit.

A reason is shown if its recheck says that it holds: the model's own (after repair: one of its next words), else, with
effort `search`, what the ruler found. What is computed for each shown reason, independently of the explainer:

  holds    the whole table of the text, `redact`: the answer changes without the words, and less than half of all words
           (of pairs: of up to 64 pairs by chance) would do
  delete   the answer also changes where the words are deleted instead
  infill   and where a neutral word stands in their place

Decisions are kept in --out, a line each: the same command goes on.

Examples:
  python -m benchmarks.reasons --data ../shared/data --split validation --rows 300
  python -m benchmarks.reasons --model runs/mine/adapter --rows 60
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from saywhy.config import Config
from saywhy.explainer.decision import BUDGETS, Effort, ExplainedDecision, ExplainRequest, FoundReason, Reason
from saywhy.explainer.explainer import Explainer
from saywhy.holding import MOST_CHANCE
from saywhy.measure.audit import unusable
from saywhy.measure.edits import Item, every_edit, items_of, recheck, stand_in
from saywhy.progress import progress
from saywhy.records import OPERATORS, Example, Operator
from saywhy.stats.intervals import rate
from saywhy.tasks.corpus import assemble_corpus
from saywhy.words import candidates, occurrences, take_out

SETS = 64
"""Pairs beside which a shown pair is put."""
AT_ONCE = 10
"""Texts that are decided together."""


def shown(decision: ExplainedDecision) -> Reason | FoundReason | None:
    """Return the reason that is shown; None where the explainer abstains."""
    if decision.check.status == "holds":
        return decision.reason
    return decision.fallback if decision.fallback and decision.fallback.check.status == "holds" else None


def decided(explainer: Explainer, examples: Sequence[Example], effort: Effort, file: Path) -> Iterator[dict[str, Any]]:
    """Yield what was decided on each text, as kept in ``file``."""
    kept = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.is_file() else []
    yield from kept
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as stream, progress(effort, len(examples)) as bar:
        bar.tick(len(kept))
        for start in range(len(kept), len(examples), AT_ONCE):
            part = examples[start : start + AT_ONCE]
            decisions = explainer.decide_many([ExplainRequest(e.text, e.context, effort=effort) for e in part])
            for example, decision in zip(part, decisions, strict=True):
                line = _verified(explainer, example, decision)
                stream.write(json.dumps(line) + "\n")
                stream.flush()
                yield line
            bar.tick(len(part))


def _verified(explainer: Explainer, example: Example, decision: ExplainedDecision) -> dict[str, Any]:
    """Return what is kept of a decision: its status and, where a reason is shown, what whole tables say of it."""
    reason = shown(decision)
    line = {
        "id": example.id,
        "status": decision.check.status,
        "rank": decision.reason.rank if decision.reason else None,
        "shown": None if reason is None else "ruler" if isinstance(reason, FoundReason) else "model",
        "size": len(reason.words) if reason else 0,
        "rechecks": decision.rechecks,
        "seconds": decision.seconds,
    }
    if reason is None:
        return line
    (item,) = items_of(explainer.classifier, [example])
    keys = {word.key for word in occurrences(example.text) if (word.core_start, word.core_end) in reason.spans}
    changes = {operator: _changes(explainer, item, keys, operator) for operator in OPERATORS}
    if len(keys) == 1:
        tables, _ = every_edit(explainer.classifier, [item], ("redact",), None)
        chance = tables["redact"][0].floor()
    else:
        chance = _share_of_sets(explainer, item, len(keys))
    return (
        line
        | {str(name): changed for name, changed in changes.items()}
        | {"holds": changes["redact"] and chance < MOST_CHANCE}
    )


def _share_of_sets(explainer: Explainer, item: Item, size: int) -> float:
    """Return the share of sets of as many words that change the answer; the explainer draws its own by other chance."""
    sets = list(combinations([word.key for word in candidates(item.example.text)], size))
    drawn = random.Random(f"verify:{item.example.id}").sample(sets, min(SETS, len(sets)))
    [after] = recheck(explainer.classifier, [item], [[take_out(item.example.text, keys) for keys in drawn]])
    return sum(prediction.label != item.prediction.label for prediction in after) / len(after)


def _changes(explainer: Explainer, item: Item, keys: set[str], operator: Operator) -> bool:
    edited = take_out(item.example.text, keys, stand_in(explainer.classifier.task, operator))
    if not edited.strip():
        return False
    [[after]] = recheck(explainer.classifier, [item], [[edited]])
    return after.label != item.prediction.label


def main() -> None:
    """Measure every effort and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--task", default="sentiment140")
    parser.add_argument("--data", default="pocket")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--most-words", type=int, default=None)
    parser.add_argument("--efforts", default=",".join(BUDGETS))
    parser.add_argument("--out", type=Path, default=Path("runs/reasons"))
    options = parser.parse_args()
    config = Config(
        model=options.model,
        task=options.task,
        data=options.data,
        split=options.split,
        rows=options.rows,
        **({"most_words": options.most_words} if options.most_words else {}),
    )
    explainer, corpus = Explainer.of(config), assemble_corpus(config)
    aside = {record.id for record in unusable(explainer.classifier, corpus.audited)}
    examples = [example for example in corpus.audited if example.id not in aside]
    print(f"{len(examples)} texts of {options.data}, {options.split}, task {options.task}, model {options.model}")
    print(
        "effort   shown                    of these the model's own   hold                     delete  infill  rechecks"
    )
    for effort in options.efforts.split(","):
        lines = list(decided(explainer, examples, effort, options.out / f"{effort}.jsonl"))
        given = [line for line in lines if line["shown"]]
        share = {name: rate([line[name] for line in given]) for name in ("holds", "delete", "infill")} if given else {}
        coverage, own = rate([bool(line["shown"]) for line in lines]), sum(line["shown"] == "model" for line in given)
        held = share["holds"] if given else None
        print(
            f"{effort:8} {coverage.value:.2f} [{coverage.low:.2f}, {coverage.high:.2f}]  {own:4} of {len(given):4}"
            + (f"              {held.value:.3f} [{held.low:.3f}, {held.high:.3f}]" if held else "")
            + "".join(f"    {share[name].value:.2f}" for name in ("delete", "infill") if given)
            + f"    {sum(line['rechecks'] for line in lines) / len(lines):.1f}"
        )


if __name__ == "__main__":
    main()
