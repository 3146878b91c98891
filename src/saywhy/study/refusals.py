"""What a study refuses before anything is written: settings, tasks, practice and bars that cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saywhy.arms import STARTS, ArmName, task_name
from saywhy.attribution import check_methods
from saywhy.hints import did_you_mean
from saywhy.progress import say
from saywhy.records import SaywhyError
from saywhy.report.study.bars import (
    ArmBar,
    CellsBar,
    ConfirmedBar,
    DriftBar,
    GateBar,
    SettledBar,
    StudyBar,
    TransferBar,
)
from saywhy.study.expand import confirmatory_cells, task_settings, tasks_practised, texts_practised
from saywhy.study.plan import StudyPlan, has_readout
from saywhy.study.requests import audit_requests
from saywhy.tasks.corpus import assemble_corpus, lacking_texts, refuse_fewer
from saywhy.tasks.task import load_task
from saywhy.training.label_rows import refuse_anchor
from saywhy.training.models import refuse_unfit_trainer

Recipes = Mapping[str, Mapping[str, Any]]
"""The settings of each trained arm's training, by its name."""


def refuse_unfit_plan(plan: StudyPlan, recipes: Recipes) -> None:
    """Refuse settings, tasks, trainings and bars that cannot be, as far as the plan itself tells.

    Raises:
        SaywhyError: With the first of them.
    """
    for task in plan.all_tasks:
        task_settings(plan, task)
        load_task(task)
    for recipe in recipes.values():
        config = task_settings(plan, extra=recipe)
        check_methods((config.target_method,), "target_method")
        refuse_unfit_trainer(config)
    confirmatory_cells(plan)
    refuse_bars(plan)


def refuse_unfit_practice(plan: StudyPlan, recipes: Recipes) -> None:
    """Refuse arms for which the texts at hand, or the labels of a task, will not do; the texts are read for it.

    A number of texts that one of the tasks has will do for all: a task that has fewer practises these, which is said.

    Raises:
        SaywhyError: With how many there are.
    """
    fewer: dict[int, list[str | None]] = {}  # by number of texts: of each task what it lacks
    for task in plan.tasks if recipes else ():
        corpus = assemble_corpus(task_settings(plan, task))
        practised = [recipe for arm, recipe in recipes.items() if task in tasks_practised(plan, ArmName.parse(arm))]
        for config in (task_settings(plan, task, recipe) for recipe in practised):
            refuse_anchor(config, corpus.task)
            refuse_fewer(corpus, config.model_copy(update={"train_rows": None}))  # held-out texts
            fewer.setdefault(texts_practised(config), []).append(lacking_texts(corpus, config))
    for lacking in fewer.values():
        if all(lacking):
            raise SaywhyError(str(lacking[0]))
        for problem in dict.fromkeys(filter(None, lacking)):
            say(f"{problem}; here all of them are practised")


def _problem_of_bar(plan: StudyPlan, bar: StudyBar) -> str | None:
    """Return why nothing that a study measures could meet or miss a bar, in words."""
    if isinstance(bar, (ConfirmedBar, SettledBar)) and not plan.confirmatory:
        return "nothing is confirmatory, so nothing can be confirmed"
    if isinstance(bar, SettledBar) and bar.at_least > (cells := len(confirmatory_cells(plan))):
        return f"settled: at_least is {bar.at_least}, but only {cells} cells are confirmatory"
    if isinstance(bar, (GateBar, DriftBar)) and bar.arm in STARTS:
        return f"{bar.arm} practises no explanations: it has neither gate nor drift"
    if isinstance(bar, TransferBar) and bar.axis == "free" and bar.setting != "free":
        return "free explanations are a setting of their own: say setting: free, readout: generated"
    if isinstance(bar, TransferBar) and bar.axis == "robustness":
        return "other operators and readouts are checks: no cell of theirs has a control to be above"
    return None


def refuse_bars(plan: StudyPlan) -> None:
    """Refuse a bar on cells that the study will never measure: it would stay open for ever.

    Raises:
        SaywhyError: With the first such bar.
    """
    requests = audit_requests(plan)
    audited = {(arm, task_name(task)) for arm, _, task in requests}
    arms = {arm for arm, _ in audited}
    for name, task in [(bar.name(task), task) for bar in plan.bars if isinstance(bar, ArmBar) for task in bar.tasks]:
        if name not in arms:
            raise SaywhyError(f"study {plan.name}: bars: no arm '{name}'{did_you_mean(name, arms, ', ')}")
        if (name, task) not in audited:
            raise SaywhyError(f"study {plan.name}: bars: {name} is not tested on '{task}'")
    measured = {
        (arm, task_name(task), *combination, operator)
        for (arm, _, task), request in requests.items()
        for combination in request.combinations()
        for operator in task_settings(plan, task).operators
    }
    for bar in plan.bars:
        if problem := _problem_of_bar(plan, bar):
            raise SaywhyError(f"study {plan.name}: bars: {problem}")
        if not has_readout(getattr(bar, "setting", "one-word"), getattr(bar, "readout", "generated")):
            raise SaywhyError(f"study {plan.name}: bars: free explanations are generated only: say readout: generated")
        for task, key in bar.cells() if isinstance(bar, CellsBar) else ():
            if (key.arm, task, key.style, key.setting, key.readout, key.operator) not in measured:
                raise SaywhyError(
                    f"study {plan.name}: bars: no block asks {key.arm} on {task} for {key.style}, {key.setting}, "
                    f"{key.readout}, with operator {key.operator}"
                )
