"""A model behind an API side by side with the same model here: two audits of the same texts, answer by answer.

The folders are those of `saywhy audit`, with the same settings but for `model=`; nothing is computed. Compared are

  labels             of whole texts, before and after calibration, and of texts without one of their words
  log-odds           of the labels of whole texts, after calibration (nats)
  hits of words      whether taking a word out changes the answer
  replies            that are the same to the letter, and that name the same word

Example:
  python -m benchmarks.served runs/served runs/local
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import grid
from saywhy.records import Decision, Row, Table
from saywhy.report.load import LoadedRun, load_run


def compared(served: LoadedRun, local: LoadedRun) -> list[list[str]]:
    """Return what is compared, how many are alike, and of how many."""
    there, here = _decisions(served), _decisions(local)
    ids = sorted(there.keys() & here.keys())
    gaps = [abs(_log_odds(there[text], here[text].label) - here[text].margin) for text in ids]
    there_tables, here_tables = _tables(served), _tables(local)
    tables = [(there_tables[text], here_tables[text]) for text in sorted(there_tables.keys() & here_tables.keys())]
    labels = [pair for first, second in tables for pair in zip(first.labels, second.labels, strict=True)]
    hits = [pair for first, second in tables for pair in zip(first.hits(), second.hits(), strict=True)]
    there_rows, here_rows = _rows(served), _rows(local)
    rows = [(there_rows[key], here_rows[key]) for key in sorted(there_rows.keys() & here_rows.keys())]
    return [
        _alike("labels of texts, after calibration", [(there[text].label, here[text].label) for text in ids]),
        _alike("labels of texts, before", [(there[text].raw_label, here[text].raw_label) for text in ids]),
        _alike("labels of texts without a word", labels),
        _alike("hits of words", hits),
        _alike("replies, to the letter", [(first.reply, second.reply) for first, second in rows]),
        _alike("explanations: words", [(first.words, second.words) for first, second in rows]),
        _alike("verdicts on explanations", [(first.hit, second.hit) for first, second in rows]),
        ["log-odds, mean difference (nats)", f"{sum(gaps) / len(gaps):.3f}", str(len(gaps))],
        ["log-odds, largest difference (nats)", f"{max(gaps):.3f}", str(len(gaps))],
    ]


def _alike(what: str, pairs: Sequence[tuple[object, object]]) -> list[str]:
    count = sum(first == second for first, second in pairs)
    return [what, f"{count} ({count / max(len(pairs), 1):.1%})", str(len(pairs))]


def _log_odds(decision: Decision, label: str) -> float:
    """Return the log-odds (nats) of ``label``, in a task of two labels."""
    return decision.margin if decision.label == label else -decision.margin


def _decisions(run: LoadedRun) -> dict[str, Decision]:
    return {decision.id: decision for decision in run.decisions}


def _tables(run: LoadedRun) -> dict[str, Table]:
    return {table.id: table for tables in run.tables.values() for table in tables if table.operator == "redact"}


def _rows(run: LoadedRun) -> dict[tuple[str, str, str], Row]:
    return {(row.id, row.style, row.setting): row for row in run.rows if row.readout == "generated"}


def main() -> None:
    """Print the comparison of two run folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("served", type=Path, help="the audit of the model behind an API")
    parser.add_argument("local", type=Path, help="the audit of the same model here")
    options = parser.parse_args()
    print(grid(("alike", "count", "of"), compared(load_run(options.served), load_run(options.local))))


if __name__ == "__main__":
    main()
