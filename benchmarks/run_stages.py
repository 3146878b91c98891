"""The computing time of `make run`, by stage.

What is computed: `saywhy run` as `make run` starts it, built-in model and texts, in a process of its own. The seconds
of each stage are those that the run itself writes into run.json; what is left of the wall time is loading models,
reading texts and the report. There is no other side. An interrupted run goes on where it stopped: its stages are then
whole, its wall time, peak memory and tokens are those of the last part, and it is said.

Examples:
  python -m benchmarks.run_stages
  python -m benchmarks.run_stages rows=20 train_rows=24
"""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.child import Usage, saywhy_run
from benchmarks.common import grid
from benchmarks.script import STATE, arguments, begin, finish, run
from benchmarks.work import Machine, load_exact

QUICK = ("rows=2", "adapt_rows=2", "train_rows=2", "decide_rows=4", "calibration_rows=8")


def section(used: Usage, settings: list[str], machine: Machine, *, resumed: bool) -> str:
    """Return the section of RESULTS.md."""
    seconds: dict[str, float] = used.manifest["seconds"]
    whole = sum(seconds.values())
    rows = [[stage, f"{spent:.1f}", f"{spent / max(whole, 1e-9):.0%}"] for stage, spent in seconds.items()]
    rows.append(["all stages", f"{whole:.1f}", "100%"])
    counts = ", ".join(f"{count} {name}" for name, count in used.manifest.get("counts", {}).items())
    caveat = " The run was interrupted: these are of its last part." if resumed else ""
    note = (
        f"`saywhy run {' '.join(settings)}`".replace(" `", "`")
        + f"; texts: {counts}. Wall {used.wall:.0f} s, processor "
        f"{used.processor:.0f} s, peak memory {used.peak:.0f} MB, {used.tokens:,} tokens computed.{caveat}"
    )
    return f"## make run, by stage\n\n{machine.facts()}\n\n{note}\n\n{grid(['stage', 'seconds', 'share'], rows)}"


def main() -> None:
    """Measure, and write the section."""
    parser = arguments(__doc__ or "", "two texts everywhere")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="settings of the run, as of `saywhy run`")
    options = parser.parse_args()
    settings = [f"model={options.model}"] if options.model != parser.get_default("model") else []
    settings += list(QUICK) * options.quick + options.settings
    ledger = begin("run_stages", options)
    machine = Machine(load_exact(options.model))
    out: Path = STATE / "run" / ("quick" if options.quick else "whole")
    begun = ledger.once("folder", lambda: False)
    resumed = begun and (out / "run.json").is_file()
    if not resumed:
        shutil.rmtree(out, ignore_errors=True)
        ledger.kept["facts"]["folder"] = True
        ledger.save()
    used = saywhy_run(["run", *settings], out, machine.vocabulary, options.threads)
    shutil.rmtree(out, ignore_errors=True)
    machine.measure()
    finish("run_stages", options, section(used, settings, machine, resumed=resumed), ledger)


if __name__ == "__main__":
    run("run_stages", main)
