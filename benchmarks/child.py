"""saywhy in a process of its own: its seconds, its peak memory, the tokens it computed.

As a script (``python -m benchmarks.child OUT.json VOCABULARY VERB [KEY=VALUE]...``) it is that process: the saywhy
command line with a token counter around it. ``saywhy_run`` starts it and reads what it left.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.script import ROOT
from saywhy.folders.store import read_json
from saywhy.records import SaywhyError


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process used: wall and processor seconds, peak memory (MB), tokens, places with logits, its run.json."""

    wall: float
    processor: float
    peak: float
    tokens: int
    heads: int
    manifest: dict[str, Any]


def saywhy_run(words: Sequence[str], out: Path, vocabulary: int, threads: int) -> Usage:
    """Run ``saywhy WORDS out=OUT`` and return what it used; the process ends with ours if we are stopped."""
    counts, log = out.with_suffix(".counts.json"), out.with_suffix(".log")
    out.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **({"OMP_NUM_THREADS": str(threads)} if threads else {})}
    began = time.perf_counter()
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.child", str(counts), str(vocabulary), *words, f"out={out}"],
            stdout=stream,
            stderr=stream,
            cwd=ROOT,
            env=environment,
        )
        try:
            _, status, used = os.wait4(process.pid, 0)
        except KeyboardInterrupt:
            process.kill()
            raise
    wall = time.perf_counter() - began
    if code := os.waitstatus_to_exitcode(status):
        last = log.read_text("utf-8").strip().splitlines()[-1:]
        raise SaywhyError(f"saywhy {' '.join(words)} ended with code {code}: {' '.join(last)}")
    counted = read_json(counts)
    unit = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes there, in KB here
    return Usage(
        wall=wall,
        processor=used.ru_utime + used.ru_stime,
        peak=used.ru_maxrss / unit,
        tokens=counted["tokens"],
        heads=counted["heads"],
        manifest=read_json(out / "run.json"),
    )


def main() -> None:
    """Run the saywhy command line and write what was counted."""
    from benchmarks.work import Counter
    from saywhy.cli import app as cli

    counts, vocabulary = Path(sys.argv[1]), int(sys.argv[2])
    sys.argv[:] = ["saywhy", *sys.argv[3:]]
    with Counter(vocabulary) as count:
        try:
            cli.main()
        finally:
            counts.write_text(json.dumps({"tokens": count.tokens, "heads": count.heads}), "utf-8")


if __name__ == "__main__":
    main()
