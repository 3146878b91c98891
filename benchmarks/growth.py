"""The whole audit as rows grow: is its time linear in rows, and its peak memory flat?

What is computed: `saywhy audit` (predict, generated and constrained explanations in three styles, every table and
grid, verdicts, report) for 50, 100, 200 and 400 texts, each in a process of its own. The smaller sets are parts of
the larger ones; texts have at most 9 distinct words, so that 400 of them take minutes, and calibration is the same
everywhere. There is no other side: the first size is what the others are compared with.

Time is linear if a straight line through all sizes misses none by much; memory is flat if the largest audit needs
hardly more than the smallest.

Examples:
  python -m benchmarks.growth
  python -m benchmarks.growth --sizes 20,40,80
  python -m benchmarks.growth --precision float32
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.child import Usage, saywhy_run
from benchmarks.common import Lap, Ledger, grid, progress
from benchmarks.script import STATE, arguments, begin, finish, positive, run, source_of
from benchmarks.work import Machine, load_exact

TASK = "sentiment140"
WORDS = 9


def straight_line(rows: Sequence[int], seconds: Sequence[float]) -> tuple[float, float, float]:
    """Return (seconds a row, seconds before the first, largest miss as a share of the time) of the fitted line."""
    slope, start = np.polyfit(rows, seconds, 1)
    misses = [abs(start + slope * n - spent) / spent for n, spent in zip(rows, seconds, strict=True)]
    return float(slope), float(start), max(misses)


def measure(rows: int, settings: Sequence[str], vocabulary: int, threads: int) -> dict[str, Any]:
    """Audit ``rows`` texts in a process of its own; a folder left by an interrupted audit is begun anew."""
    out: Path = STATE / "growth" / str(rows)
    shutil.rmtree(out, ignore_errors=True)
    used: Usage = saywhy_run(["audit", *settings, f"rows={rows}"], out, vocabulary, threads)
    audit = sum(spent for stage, spent in used.manifest["seconds"].items() if stage.startswith("audit"))
    progress(f"growth: {rows} texts: {used.wall:.0f} s, of these {audit:.0f} s auditing, {used.peak:.0f} MB")
    shutil.rmtree(out, ignore_errors=True)
    return {
        "audit": audit,
        "wall": used.wall,
        "processor": used.processor,
        "peak": used.peak,
        "tokens": used.tokens,
        "heads": used.heads,
        "products": used.manifest["model"]["products"],
    }


def section(sizes: Sequence[int], measurements: Sequence[dict[str, Any]], source: str, machine: Machine) -> str:
    """Return the section of RESULTS.md."""
    rows = []
    for size, measurement in zip(sizes, measurements, strict=True):
        lap = Lap(measurement["processor"], size, int(measurement["tokens"]), int(measurement["heads"]))
        rows.append(
            [
                str(size),
                f"{measurement['audit']:.1f}",
                f"{measurement['audit'] / size:.3f}",
                f"{measurement['wall']:.1f}",
                f"{measurement['processor']:.1f}",
                f"{measurement['peak']:.0f}",
                f"{lap.tokens:,}",
                f"{machine.share(Lap(measurement['wall'], size, lap.tokens, lap.heads)):.0%}",
            ]
        )
    header = [
        "texts",
        "auditing, s",
        "s a text",
        "all, s",
        "processor, s",
        "peak memory, MB",
        "tokens computed",
        "share of GEMM rate",
    ]
    trend = ""
    if len(sizes) > 1:
        slope, start, miss = straight_line(sizes, [measurement["audit"] for measurement in measurements])
        used, before, off = straight_line(sizes, [measurement["processor"] for measurement in measurements])
        most, grown = sizes[-1], measurements[-1]["peak"] / measurements[0]["peak"]
        trend = (
            f" Auditing: {start:.1f} s + {slope:.3f} s a text, no size off the line by more than {miss:.0%}. "
            f"Processor time, which other work on the machine hardly touches: {before:.1f} s + {used:.3f} s a text, no "
            f"size off by more than {off:.0%}. Peak memory of {most} texts is {grown:.2f} times that of {sizes[0]}."
        )
    products = f"one audit a size, {measurements[0]['products']} products"
    note = f"Texts: {TASK}, {source}, at most {WORDS} distinct words; {products}.{trend}"
    return f"## The audit as rows grow\n\n{machine.facts()}\n\n{note}\n\n{grid(header, rows)}"


def once(ledger: Ledger, rows: int, settings: Sequence[str], vocabulary: int, threads: int) -> dict[str, Any]:
    """Return what an audit of ``rows`` texts used; one that is already in the ledger is not run again."""
    measurement: dict[str, Any] = ledger.once(str(rows), lambda: measure(rows, settings, vocabulary, threads))
    return measurement


def listed(sizes: str) -> list[int]:
    """Return the sizes that --sizes names, the smallest first."""
    return sorted({positive(word) for word in sizes.split(",")})


def main() -> None:
    """Measure, and write the section."""
    parser = arguments(__doc__ or "", "2 and 4 texts")
    parser.add_argument(
        "--sizes", type=listed, default="50,100,200,400", help="texts of each audit (default %(default)s)"
    )
    parser.add_argument(
        "--precision", choices=("auto", "float32", "mixed"), default="auto", help="as of saywhy; default %(default)s"
    )
    options = parser.parse_args()
    if options.quick:
        options.sizes = [2, 4]
    ledger = begin("growth", options)
    machine = Machine(load_exact(options.model))
    folder = source_of(TASK, options.data)
    settings = [
        f"model={options.model}",
        f"precision={options.precision}",
        f"task={TASK}",
        f"data={folder or 'pocket'}",
        "split=train",
        f"most_words={WORDS}",
        "calibration_rows=64",
        "decide_rows=10",
    ]
    measurements = [once(ledger, size, settings, machine.vocabulary, options.threads) for size in options.sizes]
    machine.measure()
    finish("growth", options, section(options.sizes, measurements, "real" if folder else "built-in", machine), ledger)


if __name__ == "__main__":
    run("growth", main)
