"""What people take away without an audit: training rows for other trainers, and an adapter of their own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from saywhy.config import Config
from saywhy.folders.store import read_lines
from saywhy.processes import first
from saywhy.progress import progress, say
from saywhy.records import STYLES, SaywhyError
from saywhy.report.card import write_card
from saywhy.report.load import load_run
from saywhy.report.summary import summarise
from saywhy.runs.run import Run
from saywhy.tasks.corpus import refuse_empty
from saywhy.training import rows as lessons
from saywhy.training import turns


def write_targets(config: Config, out: Path) -> Path:
    """Write the pseudo-faithful explanations of ``config.model`` itself as TRL prompt/completion rows.

    Returns:
        The JSONL file; the share of texts in which a hit was found is printed, and kept in ``run.json``.
    """
    run = Run(config, out, arms=("base",))
    refuse_empty(run.corpus, config, "arms")
    size, examples = config.chunk, run.corpus.arms
    classifier, pinned = run.classifier("base", config.seeds[0]), run.pinned

    def chunk(number: int) -> dict[str, list[dict[str, Any]]]:
        part = examples[number * size : (number + 1) * size]
        items, found = lessons.pseudo_faithful(classifier, part, pinned, config)
        bar.tick(len(part))
        kept = [i for i, one in enumerate(found) if one["attribution"].hit or not config.verified]
        rows = turns.rows(run.corpus.task, [items[i] for i in kept], [found[i] for i in kept], config.train_styles)
        hits: list[dict[str, Any]] = [{style: one[style].hit for style in STYLES} for one in found]
        return {"targets": rows, "hits": hits}

    with progress("targets", len(examples), shared=True) as bar:
        run.folder.stage("", ("targets", "hits"), -(-len(examples) // size), chunk)
    hits = read_lines(out / "hits.jsonl")
    rates = {style: round(sum(bool(one[style]) for one in hits) / len(hits), 3) for style in STYLES}
    run.folder.note(counts={"targets": {"n": len(hits), "hits": rates}})
    if not (out / "targets.jsonl").stat().st_size:
        raise SaywhyError(lessons.NOTHING_FLIPS)
    say(f"share of {len(hits)} texts in which a hit was found: {rates}")
    return out / "targets.jsonl"


def train_adapter(config: Config, out: Path) -> Path:
    """Train ``adapted`` and ``faithful`` and put the adapter that ships into ``out``/adapter."""
    run = Run(config, out)
    seed = config.seeds[0]
    run.classifier("faithful", seed)  # made, calibrated, its constants written beside it
    made = run.make("faithful", seed)
    shipped = out / "adapter"
    if made and first() and not shipped.exists():
        part = shipped.with_name(".adapter.part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(made, part)
        write_card(part, [summarise(load_run(out))], "faithful", place=made.parent)
        part.rename(shipped)
    return shipped
