"""The service: what is asked over HTTP, put to the models, counted and logged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from saywhy import pocket
from saywhy.config import Config
from saywhy.explainer.calibrated import refuse_other_settings
from saywhy.explainer.decision import BUDGETS, ExplainedDecision
from saywhy.explainer.explainer import Explainer
from saywhy.folders.decision_log import DecisionLog, LoggedDecision, opened_log
from saywhy.models.api.model import ApiModel
from saywhy.models.backends import require
from saywhy.models.spec import resolve_model
from saywhy.paths import user_path
from saywhy.progress import say
from saywhy.records import STYLES, SaywhyError
from saywhy.serve.batching import BatchQueue, WaitingText
from saywhy.serve.metrics import ServiceMetrics
from saywhy.serve.options import ServiceSettings
from saywhy.serve.refusals import RequestError, timed_out
from saywhy.serve.requests import AskedTexts, asked_texts
from saywhy.settings import with_changes
from saywhy.tasks.task import Task
from saywhy.training.models import with_explaining_model

EXAMPLES = 6
"""Built-in texts that a page can offer to try."""

CLOSING_SECONDS = 1.0
"""How long a service that is closed waits for its models."""


class ClientLeft(Exception):
    """The client hung up: nobody is there to read an answer."""


class Service:
    """Models that decide and explain, behind a queue.

    Attributes:
        settings: What the service takes.
        task: The task of its models.
        models: Their names, the usual one first.
        efforts: How far they can look for a reason; a model without likelihoods of words cannot repair.
        queue: What waits for them.
        metrics: What is counted.
    """

    def __init__(
        self, explainers: Mapping[str, Explainer], settings: ServiceSettings, log: DecisionLog | None = None
    ) -> None:
        """Begin to answer.

        Args:
            explainers: Name to model, the usual one first; all of one task.
            settings: What the service takes.
            log: Where decisions are written down; None: nowhere.
        """
        self.settings, self._log, self.models = settings, log, tuple(explainers)
        main = explainers[self.models[0]]
        self.task: Task = main.classifier.task
        self.metrics = ServiceMetrics(self.models[0], main.expected_labels, lambda: len(self.queue))
        self._log_failed = False
        weighs = all("weigh" in explainer.classifier.model.answers for explainer in explainers.values())
        self.efforts = tuple(effort for effort in BUDGETS if weighs or effort != "repair")
        self.queue = BatchQueue(explainers, settings.queue, settings.batch, self._note, self.metrics.batch.observe)

    def asked(self, body: bytes) -> AskedTexts:
        """Return what the body of a request asks.

        Raises:
            RequestError: If it cannot be answered.
        """
        return asked_texts(body, self.settings, self.task, self.models, self.efforts)

    async def explain(
        self, asked: AskedTexts, deadline: float, hang_up: Callable[[], Coroutine[Any, Any, None]]
    ) -> list[ExplainedDecision]:
        """Return the decisions on the texts of a request.

        Args:
            asked: The texts.
            deadline: When the request is given up (``time.monotonic``).
            hang_up: Waits until the client leaves.

        Raises:
            RequestError: If one of the texts cannot be answered, or not in time.
            ClientLeft: If the client hangs up.
        """
        waiting = [WaitingText(request, asked.model, deadline) for request in asked.requests]
        self.queue.put(waiting)
        answers = asyncio.gather(*(asyncio.wrap_future(text.answer) for text in waiting))
        answers.add_done_callback(_look_at)
        leaving = asyncio.create_task(hang_up())
        try:
            left = max(deadline - time.monotonic(), 0)
            await asyncio.wait([answers, leaving], timeout=left, return_when=asyncio.FIRST_COMPLETED)  # type: ignore[type-var]
            if answers.done():
                return self._answered(waiting, answers)
            raise ClientLeft if leaving.done() else timed_out(self.settings.timeout)
        finally:
            leaving.cancel()
            answers.cancel()
            self.metrics.dropped.inc(self.queue.drop(waiting))

    @staticmethod
    def _answered(
        waiting: Sequence[WaitingText], answers: asyncio.Future[list[ExplainedDecision]]
    ) -> list[ExplainedDecision]:
        """Return the decisions, or say which text has none."""
        try:
            return answers.result()
        except RequestError as refusal:
            numbers = [at for at, text in enumerate(waiting) if text.answer.done() and not text.answer.cancelled()]
            failed = next((at for at in numbers if waiting[at].answer.exception() is refusal), 0)
            where = f"texts[{failed}]: " if len(waiting) > 1 else ""
            message = f"{where}{refusal.message}"
            raise RequestError(refusal.status, refusal.kind, message, refusal.retry_after) from None

    def facts(self) -> dict[str, Any]:
        """Return what ``GET /v1/task`` answers: what can be asked, and within which limits."""
        return {
            "task": self.task.name,
            "question": self.task.question,
            "labels": dict(self.task.labels),
            "noun": self.task.noun,
            "context": list(self.task.context),
            "models": list(self.models),
            "efforts": list(self.efforts),
            "effort": self.settings.effort,
            "styles": list(STYLES),
            "limits": {"characters": self.settings.most_characters, "texts": self.settings.most_texts},
            "examples": _examples(self.task),
        }

    def close(self) -> None:
        """End what is left: nothing is answered any more."""
        self.queue.stop()
        # Where a second signal ends the process at once, the models may still compute, and write.
        if self.queue.join(CLOSING_SECONDS) and self._log:
            self._log.close()

    def _note(self, text: WaitingText, decision: ExplainedDecision) -> None:
        """Count a decision and write it down; that it cannot be written down fails no request."""
        self.metrics.observe(text.model, decision)
        if self._log is None:
            return
        try:
            self._log.write(_logged_decision(text, decision, with_text=self.settings.log_texts))
            self._log_failed = False
        except (OSError, SaywhyError) as error:
            self.metrics.unlogged.inc()
            if not self._log_failed:  # once, not with every request
                why = error.strerror if isinstance(error, OSError) else error
                say(f"log={self._log.path} cannot be written ({why}): decisions are not logged")
            self._log_failed = True


def opened_service(settings: ServiceSettings, config: Config) -> Service:
    """Open the models and the log of a service.

    Raises:
        SaywhyError: If model, task or log cannot be used.
    """
    refuse_other_settings(config)
    confidence = user_path(settings.confidence) if settings.confidence else None
    config = with_explaining_model(config, confidence)
    spec = resolve_model(config.model)
    if settings.beside and not spec.adapter:
        raise SaywhyError(f"beside=base: model={config.model} is no adapter, it has no base model: leave beside= out")
    if settings.effort == "repair":
        require(spec, "weigh", "effort=repair", "take effort=self or effort=search")
    # The log first: loading a model takes longer.
    most_bytes = int(settings.log_megabytes * 2**20)
    log = opened_log(user_path(settings.log), most_bytes, settings.log_files) if settings.log else None
    explainers = {"trained" if spec.adapter else "base": Explainer.of(config, confidence)}
    if settings.beside:
        explainers["base"] = Explainer.of(with_changes(config, model=spec.base_name))
    for explainer in explainers.values():
        if isinstance(explainer.classifier.model, ApiModel):
            explainer.classifier.model.client.serve_others(settings.timeout)  # answers may copy texts
    return Service(explainers, settings, log)


def _look_at(answers: asyncio.Future[list[ExplainedDecision]]) -> None:
    """Look at what came of texts that nobody waited for to the end, for else asyncio complains that nobody did."""
    if not answers.cancelled():
        answers.exception()


def _examples(task: Task) -> list[Any]:
    """Return some built-in texts of a task, as objects where it has other fields; none where it lacks them."""
    if task.name not in pocket.POCKET_TASKS:
        return []
    rows = pocket.rows(task.name, "test")[:EXAMPLES]
    if not all(field in row for row in rows for field in (task.text, *task.context)):
        return []
    return [
        {"text": row[task.text], "context": {name: row[name] for name in task.context}}
        if task.context
        else row[task.text]
        for row in rows
    ]


def _logged_decision(text: WaitingText, decision: ExplainedDecision, *, with_text: bool) -> LoggedDecision:
    return LoggedDecision(
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        task=decision.task,
        model=text.model,
        label=decision.label,
        probability=round(decision.probability, 6),
        margin=round(decision.margin, 6),
        status=decision.check.status,
        effort=decision.effort,
        style=text.request.reason_style,
        rechecks=decision.rechecks,
        seconds=decision.seconds,
        confidence=decision.confidence.probability if decision.confidence else None,
        made_with=dict(decision.made_with),
        text=decision.text if with_text else None,
        context=dict(decision.context) if with_text else None,
    )
