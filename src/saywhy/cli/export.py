"""What people take away without an audit: training rows for other trainers, and an adapter of their own."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saywhy.clashes import SETTINGS_OF_TRAINING, several_seeds
from saywhy.config import Config
from saywhy.folders.store import read_lines, replacing_folder
from saywhy.models.backends import require
from saywhy.models.shipped import ADAPTER_MANIFEST
from saywhy.models.spec import resolve_model
from saywhy.models.weights import has_weights, refuse_damaged_weights
from saywhy.processes import is_first_process
from saywhy.progress import progress, say
from saywhy.records import ALL_STYLES, STYLES, Example, SaywhyError
from saywhy.report.card import write_card
from saywhy.report.load import load_run
from saywhy.report.summary import summarise
from saywhy.runs.run import Run
from saywhy.settings import say_idle
from saywhy.tasks.corpus import refuse_empty, refuse_fewer
from saywhy.training.phrasing import phrasing_of
from saywhy.training.rows import NOTHING_FLIPS, NOTHING_SUPPORTED, text_rows
from saywhy.training.targets import lessons_of

OF_ARMS_ONLY = ("objective", "anchor", "stay_weight", "heldout_rows")
"""Settings of how an arm practises, which what is exported does not show."""


def refuse_other_practice(config: Config) -> None:
    """Refuse settings by which an export would not be what they say: it holds the best explanations, written out.

    Raises:
        SaywhyError: With the setting.
    """
    for name in OF_ARMS_ONLY:
        if (value := getattr(config, name)) != Config.model_fields[name].default:
            raise SaywhyError(f"{name}={value}: saywhy targets writes the best explanations out: leave it out here")


def write_targets(config: Config, out: Path) -> Path:
    """Write the pseudo-faithful explanations of ``config.model`` itself as TRL prompt/completion rows.

    Returns:
        The JSONL file; the share of texts in which a hit was found is printed, and kept in ``run.json``.
    """
    refuse_other_practice(config)
    require(resolve_model(config.model), "weigh", "saywhy targets", "use a model on this machine")
    say_idle(config, dict.fromkeys((*SETTINGS_OF_TRAINING, "arms", *several_seeds(dict(config))), "nothing is trained"))
    run = Run(config, out, arms=("base",), explains=False)
    refuse_fewer(run.corpus, config)
    refuse_empty(run.corpus, config, "arms")
    seed, examples, pinned = config.seeds[0], run.corpus.arms, run.classifiers.pinned
    run.practice.note_sentences(config)
    run.classifiers.ensure_calibrated("base", seed)
    classifier, phrasing = run.classifiers.classifier("base", seed), phrasing_of(config, run.corpus.task, seed)

    def explain(part: Sequence[Example]) -> dict[str, list[dict[str, Any]]]:
        lessons = lessons_of(classifier, part, pinned, config)
        bar.tick(len(part))
        kept = [lesson for lesson in lessons if not config.verified or lesson.hits(config.train_styles)]
        items, targets = [lesson.item for lesson in kept], [lesson.targets for lesson in kept]
        rows = text_rows(run.corpus.task, items, targets, config.train_styles, phrasing=phrasing)
        named = set(config.train_styles) | set(STYLES)
        hits: list[dict[str, Any]] = [
            {style: lesson.hits((style,)) for style in ALL_STYLES if style in named} for lesson in lessons
        ]
        return {"targets": rows, "hits": hits}

    with progress("targets", len(examples), shared=True) as bar:
        run.folder.stage_over("", ("targets", "hits"), examples, config.chunk, explain, bar.skip)
    hits = read_lines(out / "hits.jsonl")
    rates = {style: round(sum(bool(of_text[style]) for of_text in hits) / len(hits), 3) for style in hits[0]}
    run.folder.note(counts={"targets": {"n": len(hits), "hits": rates}})
    if not (out / "targets.jsonl").stat().st_size:
        raise SaywhyError(NOTHING_FLIPS if config.verified else NOTHING_SUPPORTED)
    say(f"share of {len(hits)} texts in which a hit was found: {rates}")
    return out / "targets.jsonl"


def train_adapter(config: Config, out: Path) -> Path:
    """Train ``adapted`` and ``faithful`` and put the adapter that ships into ``out``/adapter.

    Raises:
        SaywhyError: If other arms are asked for.
    """
    if "faithful" not in config.arms:
        raise SaywhyError(f"arms={','.join(config.arms)}: saywhy train trains adapted and faithful: leave arms= out")
    say_idle(config, dict.fromkeys(several_seeds(dict(config)), "one adapter is trained, by the first"))
    run, seed = Run(config, out), config.seeds[0]
    run.ensure_trained("faithful", seed)
    run.classifiers.ensure_calibrated("faithful", seed)  # its constants travel with it
    adapter = run.models.adapter("faithful", seed)
    shipped = out / "adapter"
    if adapter and is_first_process() and not has_weights(shipped):
        refuse_damaged_weights(adapter)
        with replacing_folder(
            shipped.resolve(), "adapter", lambda folder: (folder / ADAPTER_MANIFEST).is_file()
        ) as part:
            shutil.copytree(adapter, part)
            write_card(part, [summarise(load_run(out))], "faithful", arm_folder=adapter.parent)
    refuse_damaged_weights(shipped)
    return shipped
