"""How a benchmark starts and ends: its options, its texts, its section of RESULTS.md, one line if it is stopped."""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.common import Ledger, progress, write_section
from saywhy.records import Example, SaywhyError

if TYPE_CHECKING:
    from saywhy.tasks.task import Task

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / "benchmarks" / ".state"
"""Where finished rounds and other leavings go; git ignores it."""
RESULTS = ROOT / "benchmarks" / "RESULTS.md"
STOPPED = 130


def command() -> str:
    """Return the command as it was given; of an absolute path only the last part, the rest is this machine's."""
    script = Path(sys.argv[0])
    module = script.parent.name if script.stem == "__main__" else script.stem
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    return " ".join([f"python -m benchmarks.{module}", *words])


def revision() -> str:
    """Return the git revision, marked where what is measured differs from it; 'unknown' outside a checkout."""
    git = ["git", "-C", str(ROOT)]
    measured = ["--", "src", "benchmarks", ":(exclude)benchmarks/RESULTS.md"]
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", *measured], check=False).returncode
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + (" with changes" if changed else "")


@dataclasses.dataclass(frozen=True, slots=True)
class Texts:
    """Texts of one task: ``source`` says whether they are real."""

    task: Task
    examples: tuple[Example, ...]
    source: str

    def block(self, number: int, rounds: int) -> tuple[Example, ...]:
        """Return the texts of one round: all rounds together have each text once."""
        return self.examples[number::rounds]


def source_of(name: str, data: Path) -> str | None:
    """Return the folder of a task's real texts, None if it is not there."""
    return str(data / name) if (data / name).is_dir() else None


def texts(name: str, count: int, data: Path, split: str = "test") -> Texts:
    """Return ``count`` texts of a task: real ones below ``data``, else the built-in ones, and it is said."""
    from saywhy.tasks.data import load_examples, nested_sample
    from saywhy.tasks.task import load_task

    task = load_task(name)
    folder = source_of(name, data)
    if folder is None:
        progress(f"{name}: no folder {name} below --data: the built-in texts stand in")
    examples = nested_sample(load_examples(task, split, folder or "pocket").examples, count, 0)
    return Texts(task, tuple(examples), "real" if folder else "built-in")


def positive(number: str) -> int:
    """Return the number that an option names, 1 or more."""
    if not number.strip().isdecimal() or int(number) < 1:
        raise argparse.ArgumentTypeError(f"{number!r} is not a whole number of 1 or more")
    return int(number)


def arguments(doc: str, quick: str, *, texts: int = 0, rounds: int = 0) -> argparse.ArgumentParser:
    """Return a parser of the options that benchmarks share.

    Args:
        doc: What is compared, and examples.
        quick: What --quick measures.
        texts: Default of --texts; 0: there is no such option.
        rounds: Default of --rounds; 0: there is no such option.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data",
        type=Path,
        default=ROOT.parent / "shared" / "data",
        help="folder with one folder a task (train.jsonl, test.jsonl); default ../shared/data beside the project; "
        "built-in texts where it is missing",
    )
    parser.add_argument("--model", default="smollm2-135m", help="as model= of saywhy; default %(default)s")
    if texts:
        parser.add_argument("--texts", type=positive, default=texts, help="texts (default %(default)s)")
    if rounds:
        parser.add_argument(
            "--rounds", type=positive, default=rounds, help="rounds of a comparison (default %(default)s)"
        )
    parser.add_argument("--threads", type=int, default=0, help="threads of torch; 0 leaves torch's own choice")
    parser.add_argument("--quick", action="store_true", help=f"about a minute: {quick}; RESULTS.md stays as it is")
    parser.add_argument("--restart", action="store_true", help="drop the rounds kept from an interrupted run")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file with the sections (default RESULTS.md)")
    return parser


def begin(name: str, options: argparse.Namespace) -> Ledger:
    """Set torch's threads and open the ledger of a benchmark."""
    import torch

    if "rounds" in options and "texts" in options:
        options.rounds = max(1, min(options.rounds, options.texts))
    if options.threads:
        torch.set_num_threads(options.threads)
    ignored = ("restart", "results")
    settings = {key: value for key, value in vars(options).items() if key not in ignored} | {"revision": revision()}
    path = STATE / f"{name}{'-quick' if options.quick else ''}.json"
    ledger = Ledger(path, settings, restart=options.restart)
    if ledger.finished:
        progress(f"{name}: goes on behind {ledger.finished} finished rounds")
    return ledger


def finish(name: str, options: argparse.Namespace, body: str, ledger: Ledger) -> None:
    """Print a section, write it, and forget the rounds."""
    print(body)
    path = STATE / "quick.md" if options.quick else options.results
    write_section(path, name, body)
    ledger.close()
    progress(f"{name}: written to {path.name}")


def run(name: str, main: Callable[[], None]) -> None:
    """Run a benchmark: an interruption and a problem that the user can mend are one line each."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore")
    try:
        main()
    except KeyboardInterrupt:
        progress(f"{name}: stopped; finished rounds are kept, the same command goes on")
        sys.exit(STOPPED)
    except SaywhyError as error:
        progress(f"{name}: {error}")
        sys.exit(2)
