"""How a study was made: arms, numbers of texts, hours, versions, settings, and the plan as a file to run again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from saywhy.arms import STARTS
from saywhy.records import ALL_STYLES, STYLES
from saywhy.report.format import NO_NUMBER, Sheet, SheetCell, number, report_command, sheet_of
from saywhy.report.load import LoadedRun
from saywhy.report.sheets import dotted_pairs
from saywhy.report.study.ablations import TRAIN_ROWS_SETTING, variant_settings
from saywhy.report.study.load import StudyRun
from saywhy.report.study.summary import StudySummary


def plan_yaml(study: StudyRun) -> str:
    """Return the plan as the YAML file that ``saywhy study`` takes."""
    return str(
        yaml.safe_dump(dict(study.plan), sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)
    )


def repeat_commands(study: StudyRun) -> list[str]:
    """Return the commands that make the study again, and this report."""
    data = study.plan.get("data", "pocket")
    where = "" if data in ("pocket", "hub") else " data=FOLDER"
    return [
        f"saywhy study {study.name}.yaml{where} out=runs/{study.name}",
        report_command(study.folder, published=study.bank),
    ]


def computing_hours(study: StudyRun) -> float | None:
    """Return the computing time of all steps in hours; None if it was not recorded."""
    seconds = study.manifest.get("seconds", {})
    return sum(seconds.values()) / 3600 if seconds else None


def arms_sheet(summary: StudySummary) -> Sheet | None:
    """Return every arm: what it practised, in what it differs, its control, where and under which seeds it ran."""
    study = summary.study
    rows: list[list[SheetCell | str]] = []
    for name in dict.fromkeys([*STARTS, *study.arms]):
        arm = study.arm(name)
        seeds_of_task = {
            task: sorted({row.seed for row in run.rows if row.arm == name}) for task, run in study.runs.items()
        }
        tested = [task for task, seeds in seeds_of_task.items() if seeds]
        seeds = sorted({seed for task_seeds in seeds_of_task.values() for seed in task_seeds})
        if name in STARTS and not tested:
            continue
        control = study.control(arm) if arm.kind not in (*STARTS, "random") else None
        rows.append(
            [
                name,
                arm.practised or NO_NUMBER,
                ", ".join(arm.tasks) or NO_NUMBER,
                variant_settings(arm) or NO_NUMBER,
                control.name if control else NO_NUMBER,
                ", ".join(tested) or "not measured yet",
                ", ".join(map(str, seeds)) or NO_NUMBER,
            ]
        )
    header = ("arm", "practised styles", "practised tasks", "differs in", "matched control", "tested on", "seeds")
    return sheet_of("Arms", header, rows, texts=7) if rows else None


def numbers_sheet(summary: StudySummary) -> Sheet | None:
    """Return how many texts, rows and decisions there are of each task."""
    rows: list[list[SheetCell | str]] = []
    for task, run in summary.study.runs.items():
        texts = len({row.id for row in run.rows})
        decided = len({decision.id for decision in run.decisions})
        seeds = ", ".join(map(str, run.seeds))
        role = "practised" if task in summary.study.tasks else "unseen"
        rows.append([task, role, str(texts), str(len(run.rows)), str(decided), str(len(run.set_aside)), seeds])
    header = ("task", "", "texts explained", "explanations", "texts decided", "set aside", "seeds")
    return sheet_of("Numbers", header, rows, texts=2) if rows else None


BLOCK_SETTINGS = ("task", "arms", "train_styles", "settings", "readouts", "seeds")
"""Settings of a run that each block of the plan has for itself."""


def study_targets_sheet(summary: StudySummary) -> Sheet | None:
    """Return how often the words that faithful arms practised hit: a verified recipe keeps only the texts that hit."""
    rows: list[list[SheetCell | str]] = []
    named = {
        style for run in summary.study.runs.values() for made in run.targets.values() for style in made.get("hits", {})
    }
    styles = [style for style in ALL_STYLES if style in STYLES or style in named]
    for task, run in summary.study.runs.items():
        for name, targets in run.targets.items():
            hits = [targets.get("hits", {}).get(style) for style in styles]
            shares = [number(hit) if hit is not None else NO_NUMBER for hit in hits]
            rows.append([task, name.removesuffix(".json"), str(targets.get("n", NO_NUMBER)), *shares])
    note = (
        "Share of training texts in which the chosen word changes the label of the model that the arms go on from. "
        "targets-from-N: the stretch of texts behind the first N; an arm with targets of its own goes by its name."
    )
    return sheet_of("Training targets", ("task", "which", "texts", *styles), rows, note, texts=2) if rows else None


def study_provenance_sheets(summary: StudySummary) -> list[Sheet]:
    """Return the model, versions, prompts, data and seconds of a study."""
    manifest = summary.study.manifest
    sheets = [_hours_sheet(summary.study)]
    runs, plan = summary.study.runs, summary.study.plan
    settings: dict[str, Any] = dict(next((run.manifest.get("config", {}) for run in runs.values()), {}))
    # The run of a task has the union of all blocks: which arms it has, and what each trains on, is in the plan and the
    # table of the arms.
    settings |= {key: value for key, value in plan.get("with", {}).items() if key == TRAIN_ROWS_SETTING}
    settings = {key: value for key, value in settings.items() if key not in BLOCK_SETTINGS}
    revisions = ", ".join(filter(None, manifest.get("revisions") or [manifest.get("git")])) or None
    for title, data in (
        ("Model", manifest.get("model", {})),
        ("Settings, resolved; what differs from task to task and from arm to arm stands in the plan", settings),
        ("Versions", {**manifest.get("versions", {}), "revision of the code": revisions}),
        ("Machines: the study was spread and joined", _machine_facts(manifest)),
        ("Data", {task: _data_facts(run) for task, run in runs.items()}),
        ("Prompts", manifest.get("prompts", {})),
    ):
        sheets.append(_pairs_sheet(title, data))
    return list(filter(None, sheets))


def _machine_facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what each machine of a joined study did, and in what it differs from the first (``saywhy join``)."""
    facts_of_machine: dict[str, Any] = {}
    machines: Sequence[Mapping[str, Any]] = manifest.get("machines", ())
    for position, machine in enumerate(machines, start=1):
        first = dict(dotted_pairs({key: machines[0].get(key) for key in ("versions", "model")}))
        own = dict(dotted_pairs({key: machine.get(key) for key in ("versions", "model")}))
        done = "; ".join(f"seed {seed}: {', '.join(arms)}" for seed, arms in machine.get("audited", {}).items())
        differences = ", ".join(
            f"{key} {value}" for key, value in own.items() if position > 1 and first.get(key) != value
        )
        facts_of_machine[str(position)] = f"revision {machine.get('git')}; {done}" + (
            f"; otherwise {differences}" if differences else ""
        )
    return facts_of_machine


def _data_facts(run: LoadedRun) -> dict[str, Any]:
    """Return source and licence of a task's examples, and their hashes."""
    origin = {"source": run.manifest.get("source"), "licence": run.task.get("licence")}
    return {**{key: value for key, value in origin.items() if value}, **(run.manifest.get("data") or {})}


def _pairs_sheet(title: str, data: Mapping[str, Any]) -> Sheet | None:
    rows = [[name, text] for name, text in dotted_pairs(dict(data))]
    return sheet_of(title, ("what", "value"), rows, texts=2) if rows else None


def _hours_sheet(study: StudyRun) -> Sheet | None:
    """Return the computing time by the first word of each step."""
    seconds = study.manifest.get("seconds", {})
    total: dict[str, float] = {}
    for step, spent in seconds.items():
        kind = step.split()[0]
        total[kind] = total.get(kind, 0.0) + spent
    rows: list[list[SheetCell | str]] = [[kind, number(spent / 3600)] for kind, spent in total.items()]
    rows.append(["all", number(sum(total.values()) / 3600)])
    return sheet_of("Hours", ("step", "hours"), rows, texts=1) if seconds else None
