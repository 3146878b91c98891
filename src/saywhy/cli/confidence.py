"""What ``saywhy confidence`` does: fit how likely a reason holds on a finished audit, say how good that is, keep it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from saywhy.explainer.confidence import CONFIDENCE_FILE, CONFIDENCE_SCHEMA
from saywhy.folders.store import read_object, write_json
from saywhy.hints import did_you_mean
from saywhy.measure.calibration import calibration_key_of
from saywhy.models.shipped import finite_constants
from saywhy.progress import say
from saywhy.records import TRAINING_OPERATOR, Row, SaywhyError
from saywhy.report.confidence import THRESHOLD_DELTA, WANTED_SHARE, ConfidenceQuality, confidence_quality
from saywhy.report.format import counted, estimate_text, number
from saywhy.report.load import LoadedRun, by_place, load_run
from saywhy.stats import rate
from saywhy.stats.confidence import fit_confidence, fitting_problem, outcomes_of
from saywhy.tasks.task import Task
from saywhy.training.classifiers import constants_file


def shown_share_and_delta(pairs: Sequence[str]) -> tuple[float, float]:
    """Return the share of shown reasons that is to hold, and how likely that may fail, from ``key=value`` words.

    Raises:
        SaywhyError: For another key, or what is no number between 0 and 1.
    """
    numbers = {"share": WANTED_SHARE, "delta": THRESHOLD_DELTA}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if key not in numbers:
            hint = did_you_mean(key, tuple(numbers), ", ")
            raise SaywhyError(f"'{pair}'{hint}: it takes share=0.9 and delta=0.05")
        try:
            numbers[key] = float(value)
        except ValueError:
            raise SaywhyError(f"{pair}: it takes a number between 0 and 1, as in {key}={numbers[key]}") from None
        if not 0 < numbers[key] < 1:
            raise SaywhyError(f"{pair}: it takes a number between 0 and 1")
    return numbers["share"], numbers["delta"]


def write_confidence(folder: Path, wanted_share: float, delta: float) -> Path:
    """Fit the confidence of an audited model, print how good it is, and write it; return where.

    Args:
        folder: A finished audit of one arm.
        wanted_share: Share of the shown reasons that is to hold.
        delta: How likely that may fail.

    Raises:
        SaywhyError: If the folder is no such audit, or nothing can be fitted on its rows.
    """
    run = by_place(load_run(folder))
    belongs = _model_key(run)
    rows = _explained_rows(run)
    words = {text: len(of_text) for text, of_text in run.words.items()}
    # Of the attribution alone: who explains in production asks for no other style.
    outcomes = outcomes_of(rows, words, "attribution")
    if problem := fitting_problem(outcomes):
        raise SaywhyError(f"{folder}: no confidence can be fitted: {problem}; audit more texts, rows=400 say")
    quality = confidence_quality(outcomes, wanted_share=wanted_share, delta=delta)
    texts = len({outcome.text for outcome in outcomes})
    held = rate([outcome.held for outcome in outcomes], texts)
    say(
        f"{rows[0].arm}, attribution, one-word, {rows[0].readout} readout, operator {rows[0].operator}: "
        f"{counted(texts, 'text')}, the reason holds in {estimate_text(held)}"
    )
    _say_quality(quality, wanted_share, delta)
    content = {
        "schema": CONFIDENCE_SCHEMA,
        "task": rows[0].task,
        "style": rows[0].style,
        "readout": rows[0].readout,
        "operator": rows[0].operator,
        "belongs": belongs,
        "constants": _constants(run, rows[0]),
        "texts": texts,
        "holds": held.value,
        "auroc": quality.auroc.value,
        "calibration_error": quality.calibration_error,
        "share": wanted_share,
        "delta": delta,
        "threshold": quality.threshold,
        "coverage": quality.guaranteed,
        "model": fit_confidence(outcomes).to_dict(),
    }
    write_json(folder / CONFIDENCE_FILE, content)
    return folder / CONFIDENCE_FILE


def _say_quality(quality: ConfidenceQuality, wanted_share: float, delta: float) -> None:
    say(
        f"confidence, each text judged by a fit on others: AUROC {estimate_text(quality.auroc)}, calibration error "
        f"{number(quality.calibration_error)}, AURC {estimate_text(quality.areas.area)} (oracle "
        f"{number(quality.areas.oracle)}, any {number(quality.areas.random)})"
    )
    aim = f"so that {wanted_share:.0%} of the shown reasons hold, with probability {1 - delta:.0%}"
    if quality.threshold is None:
        say(f"{aim}: show none without a recheck")
    else:
        say(f"{aim}: show those of confidence {quality.threshold:.2f} or more, {quality.guaranteed:.0%} of them")


def _explained_rows(run: LoadedRun) -> list[Row]:
    """Return the rows that a confidence is fitted on: those of guided replies if the run has any, else constrained."""
    known = [
        row
        for row in run.rows
        if (row.style, row.setting, row.operator) == ("attribution", "one-word", TRAINING_OPERATOR)
        and row.log_probability is not None
    ]
    if not run.rows:
        raise SaywhyError(f"{run.folder} is no finished audit: it has no rows; run its command again to its end")
    if len(run.arms) > 1:
        raise SaywhyError(
            f"{run.folder} has {len(run.arms)} arms, a confidence is of one model: give the folder of a saywhy audit"
        )
    for readout in ("guided", "constrained"):
        if rows := [row for row in known if row.readout == readout]:
            return rows
    raise SaywhyError(
        f"{run.folder} has no one-word attribution (operator {TRAINING_OPERATOR}) that knows how likely its word was: "
        "audit with styles=attribution settings=one-word readouts=constrained, by this version"
    )


def _constants(run: LoadedRun, row: Row) -> Mapping[str, float] | None:
    """Return the constants by which the answers were calibrated; None if the folder does not have them."""
    file = run.folder / constants_file(row.arm, row.seed)
    if not file.is_file():
        return None
    try:
        return finite_constants(read_object(file))
    except (TypeError, ValueError) as error:
        raise SaywhyError(f"{file} is damaged ({error}): restore it, or audit the model again") from error


def _model_key(run: LoadedRun) -> Mapping[str, Any]:
    """Return what the confidence belongs to (``calibration_key``), as the run recorded it."""
    model, prompts = (run.manifest.get(name) or {} for name in ("model", "prompts"))
    weights, template = model.get("adapter") or model.get("fingerprint"), model.get("template")
    if not weights or not template or "version" not in prompts:
        raise SaywhyError(f"{run.folder} does not say of which weights and chat template it is: audit the model again")
    try:
        task = Task.model_validate(run.task)
    except ValidationError as error:
        raise SaywhyError(f"{run.folder / 'run.json'} describes no task: audit the model again") from error
    quantize = run.manifest.get("config", {}).get("quantize")
    return calibration_key_of(weights, template, task, str(prompts["version"]), quantize)
