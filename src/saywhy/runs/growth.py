"""A run folder goes on with more texts: samples are nested, so what was computed of the former ones stays.

Rows depend on the chunk that they were computed in, and on nothing outside it. So a chunk that holds the same texts as
before stays, and the last one, if it was short, is computed again: the rows are those of a run that began with as many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saywhy.arms import AUDITED
from saywhy.config import Config
from saywhy.folders.checksums import remedy_of
from saywhy.folders.lock import FolderLock
from saywhy.folders.run import (
    AUDIT_FILES,
    DECIDED_FILES,
    SAMPLE_FILES,
    SCORES_FOLDER,
    SENTENCE_FILES,
    START_FILES,
    RunFolder,
)
from saywhy.folders.store import read_json
from saywhy.processes import is_first_process
from saywhy.progress import say
from saywhy.records import SaywhyError, SetAside
from saywhy.settings import resolved, with_changes, with_defaults
from saywhy.tasks.corpus import Corpus, assemble_corpus

DECIDED_CHUNKS = 10
"""How many times larger the chunks are in which decisions are measured."""


def open_run_folder(
    out: Path, config: Config, corpus: Corpus, facts: Mapping[str, Any], arms: Sequence[str]
) -> RunFolder:
    """Open or begin a run folder; one that was begun with fewer texts goes on with those of ``corpus``.

    Args:
        out: The folder.
        config: The settings.
        corpus: The texts that they give.
        facts: What else ``run.json`` holds.
        arms: The arms that are audited.

    Raises:
        SaywhyError: If the folder holds another run, or if more texts to audit change which others are used.
    """
    former_rows = _fewer_rows(out, config)
    if former_rows is None:
        return RunFolder(out, resolved(config), facts)
    if not is_first_process():  # the first one makes the folder one of more texts
        FolderLock(out).wait(lambda: _fewer_rows(out, config) is None, f"rows={config.rows} in run.json")
        return RunFolder(out, resolved(config), facts)
    former_config = with_changes(config, rows=former_rows)
    former = assemble_corpus(former_config)
    former_data = {**facts["data"], "rows": former.fingerprint()}
    folder = RunFolder(out, resolved(former_config), {**facts, "data": former_data})
    _refuse_other_pools(out, config, former_rows, former, corpus, arms)
    _keep_chunks(folder, config, former, corpus)
    folder.note(config={"rows": config.rows}, data=facts["data"])
    say(f"{out} goes on with rows={config.rows}: it had rows={former_rows}, and what was computed of them is kept")
    return folder


def _fewer_rows(out: Path, config: Config) -> int | None:
    """Return the ``rows`` of a begun folder, if they are fewer than those of ``config``; else None."""
    file = out / "run.json"
    recorded = read_json(file, remedy=remedy_of(file)) if file.is_file() else None
    if not isinstance(recorded, dict) or not isinstance(recorded.get("config"), dict):
        return None  # whoever opens it says what is wrong with it
    rows = with_defaults(recorded["config"])["rows"]
    return rows if isinstance(rows, int) and (config.rows is None or rows < config.rows) else None


def _refuse_other_pools(
    out: Path, config: Config, former_rows: int, former: Corpus, corpus: Corpus, arms: Sequence[str]
) -> None:
    """Refuse more texts to audit where other texts would be calibrated, decided or practised on.

    Raises:
        SaywhyError: With the pools that would change.
    """
    practised = () if tuple(arms) == (AUDITED,) else ("adapt", "arms", "heldout")
    changed = [
        pool
        for pool in ("calibration", "lexicon", "decided", *practised)
        if getattr(former, pool) != getattr(corpus, pool)
    ]
    if changed:
        raise SaywhyError(
            f"{out} holds rows={former_rows}, and with rows={config.rows} its texts of {', '.join(changed)} would be "
            "others, for what is audited leaves the training texts: choose another folder with out=FOLDER"
        )


def _keep_chunks(folder: RunFolder, config: Config, former: Corpus, corpus: Corpus) -> None:
    """Take every stage back to its chunks that are the same with the texts of ``corpus``."""
    screened = folder.path / "screened.json"
    if screened.is_file():  # else nothing was computed yet
        former = former.without([SetAside.from_dict(line) for line in read_json(screened)])
    audited, decided = ([example.id for example in pool] for pool in (former.audited, former.decided))
    added = {example.id for example in corpus.audited} - {*audited}

    if not added:  # there are no more texts
        return

    def is_full(chunk: Sequence[str]) -> bool:
        return len(chunk) == config.chunk

    def is_undisturbed(chunk: Sequence[str]) -> bool:
        return added.isdisjoint(chunk)  # the decision on an audited text is that of its audit

    for arm_folder in folder.path.glob("seed-*/*/"):
        where = arm_folder.relative_to(folder.path).as_posix()
        folder.keep_chunks(where, AUDIT_FILES, audited, config.chunk, is_full)
        # The controls of sentences of every text are drawn among all texts: nothing of those stays.
        kept = {SENTENCE_FILES: lambda _: False, **dict.fromkeys((SAMPLE_FILES, *START_FILES.values()), is_full)}
        for files, is_kept in kept.items():
            if folder.begun(where, files):
                folder.keep_chunks(where, files, audited, config.chunk, is_kept)
        folder.keep_chunks(where, DECIDED_FILES, decided, DECIDED_CHUNKS * config.chunk, is_undisturbed)
    for directory in (*folder.path.glob("seed-*/*/robustness/"), folder.path / SCORES_FOLDER):
        for stem in _stems_of_stages(directory):
            where = directory.relative_to(folder.path).as_posix()
            folder.keep_chunks(where, (stem,), audited, config.chunk, is_full)
    folder.remove("screened.json", "texts.jsonl", "set_aside.jsonl")  # made anew, with what is added


def _stems_of_stages(directory: Path) -> set[str]:
    """Return the stems of the stages of one file each in ``directory``, finished or begun."""
    begun = {path.name.removeprefix(".").removesuffix("-parts") for path in directory.glob(".*-parts/")}
    return begun | {path.stem for path in directory.glob("*.jsonl")}
