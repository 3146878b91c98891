"""How a study was made: arms, numbers of texts, hours, versions, settings, and the plan as a file to run again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from saywhy.arms import MADE
from saywhy.records import STYLES
from saywhy.report.format import NOTHING, Sheet, Shown, number, sheet
from saywhy.report.load import Run
from saywhy.report.sheets import flat
from saywhy.report.study.ablations import ROWS, told
from saywhy.report.study.load import StudyRun
from saywhy.report.study.summary import StudySummary


def plan_yaml(study: StudyRun) -> str:
    """Return the plan as the YAML file that ``saywhy study`` takes."""
    return str(
        yaml.safe_dump(dict(study.plan), sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)
    )


def commands(study: StudyRun) -> list[str]:
    """Return the commands that make the study again, and this report."""
    folder, data = study.folder.resolve().name, study.plan.get("data", "pocket")
    where = "" if data in ("pocket", "hub") else " data=FOLDER"
    return [f"saywhy study {study.name}.yaml{where} out=runs/{study.name}", f"saywhy report {folder}"]


def hours(study: StudyRun) -> float | None:
    """Return the computing time of all steps in hours; None if it was not recorded."""
    seconds = study.manifest.get("seconds", {})
    return sum(seconds.values()) / 3600 if seconds else None


def arms_sheet(summary: StudySummary) -> Sheet | None:
    """Return every arm: what it practised, in what it differs, its control, where and under which seeds it ran."""
    study = summary.study
    rows: list[list[Shown | str]] = []
    for name in dict.fromkeys([*MADE, *study.arms]):
        arm = study.arm(name)
        places = {task: sorted({r.seed for r in run.rows if r.arm == name}) for task, run in study.runs.items()}
        there = [task for task, seeds in places.items() if seeds]
        seeds = sorted({seed for found in places.values() for seed in found})
        if name in MADE and not there:
            continue
        control = study.control(arm) if arm.kind not in (*MADE, "random") else None
        rows.append(
            [
                name,
                arm.practised or NOTHING,
                ", ".join(arm.tasks) or NOTHING,
                told(arm) or NOTHING,
                control.name if control else NOTHING,
                ", ".join(there) or "not measured yet",
                ", ".join(map(str, seeds)) or NOTHING,
            ]
        )
    header = ("arm", "practised styles", "practised tasks", "differs in", "matched control", "tested on", "seeds")
    return sheet("Arms", header, rows, texts=7) if rows else None


def numbers_sheet(summary: StudySummary) -> Sheet | None:
    """Return how many texts, rows and decisions there are of each task."""
    rows: list[list[Shown | str]] = []
    for task, run in summary.study.runs.items():
        texts = len({row.id for row in run.rows})
        decided = len({d.id for d in run.decisions})
        seeds = ", ".join(map(str, run.seeds))
        sort = "practised" if task in summary.study.tasks else "unseen"
        rows.append([task, sort, str(texts), str(len(run.rows)), str(decided), str(len(run.set_aside)), seeds])
    header = ("task", "", "texts explained", "explanations", "texts decided", "set aside", "seeds")
    return sheet("Numbers", header, rows, texts=2) if rows else None


OF_BLOCKS = ("task", "arms", "train_styles", "settings", "readouts", "seeds")
"""Settings of a run that the blocks of a study say, each its own."""


def targets_sheet(summary: StudySummary) -> Sheet | None:
    """Return how often the words that faithful arms practised hit: recipes that are verified keep only these texts."""
    rows: list[list[Shown | str]] = []
    for task, run in summary.study.runs.items():
        for name, found in run.targets.items():
            hits = [found.get("hits", {}).get(style) for style in STYLES]
            shares = [number(hit) if hit is not None else NOTHING for hit in hits]
            rows.append([task, name.removesuffix(".json"), str(found.get("n", NOTHING)), *shares])
    note = (
        "Share of training texts in which the chosen word changes the label of the model that the arms go on from. "
        "targets-from-N: the stretch of texts behind the first N; an arm with targets of its own goes by its name."
    )
    return sheet("Training targets", ("task", "which", "texts", *STYLES), rows, note, texts=2) if rows else None


def made_sheets(summary: StudySummary) -> list[Sheet]:
    """Return the model, versions, prompts, data and seconds of a study."""
    manifest = summary.study.manifest
    made = [_hours(summary.study)]
    runs, plan = summary.study.runs, summary.study.plan
    settings: dict[str, Any] = dict(next((run.manifest.get("config", {}) for run in runs.values()), {}))
    # The run of a task holds what any block wants: which arms and texts an arm has stands in the plan and under Arms.
    settings |= {key: value for key, value in plan.get("with", {}).items() if key == ROWS}
    settings = {key: value for key, value in settings.items() if key not in OF_BLOCKS}
    revisions = ", ".join(filter(None, manifest.get("revisions") or [manifest.get("git")])) or None
    for title, data in (
        ("Model", manifest.get("model", {})),
        ("Settings, resolved; what differs from task to task and from arm to arm stands in the plan", settings),
        ("Versions", {**manifest.get("versions", {}), "revision of the code": revisions}),
        ("Machines: the study was spread and joined", _machines(manifest)),
        ("Data", {task: _data(run) for task, run in runs.items()}),
        ("Prompts", manifest.get("prompts", {})),
    ):
        made.append(_pairs(title, data))
    return [one for one in made if one is not None]


def _machines(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what each machine of a joined study did, and in what it differs from the first (``saywhy join``)."""
    found: dict[str, Any] = {}
    machines: Sequence[Mapping[str, Any]] = manifest.get("machines", ())
    for number_of, one in enumerate(machines, start=1):
        known = dict(flat({key: machines[0].get(key) for key in ("versions", "model")}))
        own = dict(flat({key: one.get(key) for key in ("versions", "model")}))
        done = "; ".join(f"seed {seed}: {', '.join(arms)}" for seed, arms in one.get("audited", {}).items())
        other = ", ".join(f"{key} {value}" for key, value in own.items() if number_of > 1 and known.get(key) != value)
        found[str(number_of)] = f"revision {one.get('git')}; {done}" + (f"; otherwise {other}" if other else "")
    return found


def _data(run: Run) -> dict[str, Any]:
    """Return what the rows of a task are: source, licence, and their hashes."""
    told = {"source": run.manifest.get("source"), "licence": run.task.get("licence")}
    return {**{key: value for key, value in told.items() if value}, **(run.manifest.get("data") or {})}


def _pairs(title: str, data: Mapping[str, Any]) -> Sheet | None:
    rows = [[name, text] for name, text in flat(dict(data))]
    return sheet(title, ("what", "value"), rows, texts=2) if rows else None


def _hours(study: StudyRun) -> Sheet | None:
    """Return the computing time by the first word of each step."""
    seconds = study.manifest.get("seconds", {})
    total: dict[str, float] = {}
    for step, spent in seconds.items():
        kind = step.split()[0]
        total[kind] = total.get(kind, 0.0) + spent
    rows: list[list[Shown | str]] = [[kind, number(spent / 3600)] for kind, spent in total.items()]
    rows.append(["all", number(sum(total.values()) / 3600)])
    return sheet("Hours", ("step", "hours"), rows, texts=1) if seconds else None
