"""Read the records of one arm: what its folder holds, refused where it is not whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from saywhy.checks import Curve, Judged, Probe, Spare
from saywhy.folders.run import START_FILES
from saywhy.folders.store import GZIP_SUFFIX, existing_file, read_records
from saywhy.records import CounterfactualGrid, Decision, Record, Row, Table
from saywhy.report.effects import with_effects, with_rises
from saywhy.report.gaps import refuse_check_gaps, refuse_gaps
from saywhy.stats.sentences import SentenceScores

AnyRunRecord = TypeVar("AnyRunRecord", bound=Record)

USUAL_CHECK_RECORD: type[Record] = Judged
"""Type of the records in the file of a check that judges explanations again."""

CHECK_RECORDS: Mapping[str, type[Record]] = {
    "rewrite": Probe,
    "wrong-target": Probe,
    "k-curve": Curve,
    "minimality": Spare,
}
"""Type of the records of each check that judges no explanation again."""


def _check_records(check_folder: Path, rows: Sequence[Row]) -> list[Record]:
    """Read the records of the robustness checks of an arm with these rows."""
    records: list[Record] = []
    for file in check_files(check_folder):
        of_file = records_of(file, CHECK_RECORDS.get(check_name(file), USUAL_CHECK_RECORD))
        refuse_check_gaps(file, of_file, rows)
        records += of_file
    return records


def check_files(folder: Path) -> list[Path]:
    """List the JSONL files of a folder, compressed or not."""
    return sorted([*folder.glob("*.jsonl"), *folder.glob(f"*.jsonl{GZIP_SUFFIX}")], key=check_name)


def check_name(file: Path) -> str:
    """Return the name of the check whose records a file holds."""
    return file.name.removesuffix(GZIP_SUFFIX).removesuffix(".jsonl")


def records_of(path: Path, record_type: type[AnyRunRecord]) -> list[AnyRunRecord]:
    """Read the records of a file, one a line, compressed or not; empty if there is no such file.

    Raises:
        SaywhyError: If a line is no such record.
    """
    return read_records(path, record_type) if existing_file(path) else []


class ArmRecords(NamedTuple):
    """What an arm's folder holds."""

    rows: tuple[Row, ...]
    tables: tuple[Table, ...]
    grids: tuple[CounterfactualGrid, ...]
    decisions: tuple[Decision, ...]
    checks: list[Record]
    sentences: tuple[SentenceScores, ...]
    judged_by_start: tuple[Judged, ...]


def load_arm(arm_folder: Path, texts: set[str], labels: int) -> ArmRecords:
    """Read the records of an arm; refuse files that are not whole by their shape."""
    rows = records_of(arm_folder / "rows.jsonl", Row)
    tables = tuple(records_of(arm_folder / "tables.jsonl", Table))
    grids = records_of(arm_folder / "grids.jsonl", CounterfactualGrid)
    decisions = records_of(arm_folder / "decisions.jsonl", Decision)
    files: dict[str, Sequence[Record]] = {"rows": rows, "tables": tables, "grids": grids, "decisions": decisions}
    refuse_gaps(arm_folder, texts, files)
    checks = _check_records(arm_folder / "robustness", rows)
    raised = with_rises(grids, labels)
    sentences = tuple(records_of(arm_folder / "sentences.jsonl", SentenceScores))
    judged: list[Judged] = []
    for [stem] in START_FILES.values():
        of_file = records_of(arm_folder / f"{stem}.jsonl", Judged)
        refuse_check_gaps(arm_folder / f"{stem}.jsonl", of_file, rows)
        judged += of_file
    rows = with_effects(rows, tables, raised)
    return ArmRecords(tuple(rows), tables, raised, tuple(decisions), checks, sentences, tuple(judged))
