"""The queue before the model: what waits is taken together, computed in one thread, and dropped if nobody waits."""

from __future__ import annotations

import dataclasses
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol

from saywhy.explainer.decision import ExplainedDecision, ExplainRequest, UnusableTextError
from saywhy.models.api.client import ApiModelError, ModelUnavailableError
from saywhy.models.memory import NotEnoughMemoryError, NotFiniteError
from saywhy.progress import say
from saywhy.serve.refusals import RequestError, refusal_of, stopping

GATHER_SECONDS = 0.02
"""How long the first of a batch waits for others: clients that were answered together ask again together."""
BATCH_CHARACTERS = 20_000
"""Characters of a batch: beyond them (some 5,000 tokens) more texts at once are not faster, but all wait longer."""
SEARCH_SHARE = 0.8
"""Share of what is left of a request's time after which nothing more is looked for."""


class DecidingModel(Protocol):
    """What answers: an ``Explainer``."""

    def decide_many(self, rows: Sequence[ExplainRequest]) -> list[ExplainedDecision]:
        """Return the decision on each text."""

    def problems(self, requests: Sequence[ExplainRequest]) -> list[str | None]:
        """Return why each request cannot be answered, None where it can be."""


@dataclasses.dataclass(eq=False, slots=True)
class WaitingText:
    """A text that waits for its decision.

    Attributes:
        request: What is asked.
        model: Name of the model that is to answer.
        deadline: When it is given up (``time.monotonic``).
        answer: Where the decision, or a ``RequestError``, is put.
    """

    request: ExplainRequest
    model: str
    deadline: float
    answer: Future[ExplainedDecision] = dataclasses.field(default_factory=Future)

    def within_time(self, deadline: float) -> ExplainRequest:
        """Return the request, its search limited to what is left until ``deadline``."""
        left = SEARCH_SHARE * max(deadline - time.monotonic(), 0.01)
        return dataclasses.replace(self.request, seconds=min(left, self.request.seconds or left))


class BatchQueue:
    """Texts on their way to the models, which answer in one thread.

    Attributes:
        is_stopping: Whether nothing more is taken.
    """

    def __init__(
        self,
        explainers: Mapping[str, DecidingModel],
        capacity: int,
        batch: int,
        on_decision: Callable[[WaitingText, ExplainedDecision], None],
        on_batch: Callable[[int], None] = lambda size: None,
    ) -> None:
        """Begin to answer.

        Args:
            explainers: Name to what answers.
            capacity: Texts that may wait.
            batch: Texts that are computed together.
            on_decision: Called with every text that was decided, within the thread of the models.
            on_batch: Called with the number of texts that are taken together.
        """
        self._explainers, self._capacity, self._batch = explainers, capacity, batch
        self._on_decision, self._on_batch = on_decision, on_batch
        self._waiting: deque[WaitingText] = deque()
        self._changed = threading.Condition()
        self._seconds_per_text = 1.0
        self.is_stopping = False
        self._thread = threading.Thread(target=self._work, name="saywhy-models", daemon=True)
        self._thread.start()

    @property
    def is_working(self) -> bool:
        """Whether texts are taken and answered."""
        return self._thread.is_alive() and not self.is_stopping

    @property
    def is_done(self) -> bool:
        """Whether nothing is being computed any more, nor will be."""
        return not self._thread.is_alive()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, texts: Sequence[WaitingText]) -> None:
        """Let texts wait: all of them or none.

        Raises:
            RequestError: If there is no room for them (429), or if nothing is answered any more (503).
        """
        with self._changed:
            if not self.is_working:
                raise stopping()
            if len(self._waiting) + len(texts) > self._capacity:
                message = f"{len(self._waiting)} texts are waiting: try again later"
                raise RequestError(429, "queue_full", message, self._seconds_per_text * len(self._waiting))
            self._waiting.extend(texts)
            self._changed.notify()

    def drop(self, texts: Sequence[WaitingText]) -> int:
        """Forget those of the texts that still wait; return how many did."""
        with self._changed:
            waiting = [text for text in texts if text.answer.cancel() and text in self._waiting]
            for text in waiting:
                self._waiting.remove(text)
            return len(waiting)

    def stop(self) -> None:
        """Refuse what waits and what comes; what is being computed is finished (``is_done``)."""
        with self._changed:
            self.is_stopping = True
            while self._waiting:
                _refuse(self._waiting.popleft(), stopping())
            self._changed.notify()

    def join(self, seconds: float) -> bool:
        """Wait, at most so long, for what is being computed; return whether it is finished (``is_done``)."""
        self._thread.join(seconds)
        return self.is_done

    def _work(self) -> None:
        while batch := self._next_batch():
            started = time.monotonic()
            self._on_batch(len(batch))
            self._decide(batch)
            pace = (time.monotonic() - started) / len(batch)
            self._seconds_per_text += 0.3 * (pace - self._seconds_per_text)

    def _next_batch(self) -> list[WaitingText]:
        """Wait for texts; return those that are computed together, none if the service ends."""
        with self._changed:
            while not self.is_stopping:
                self._changed.wait_for(lambda: self._waiting or self.is_stopping)
                self._changed.wait_for(lambda: len(self._waiting) >= self._batch or self.is_stopping, GATHER_SECONDS)
                if batch := self._taken():
                    return batch
        return []

    def _taken(self) -> list[WaitingText]:
        """Take the longest waiting texts of one model, as many as are computed together.

        All are answered when the last one is, so none is taken with one that has less than half of its time left.
        """
        batch: list[WaitingText] = []
        characters, now = 0, time.monotonic()
        for text in tuple(self._waiting):
            if len(batch) >= self._batch or (batch and characters >= BATCH_CHARACTERS):
                break
            if batch and (text.model != batch[0].model or text.deadline - now > 2 * (batch[0].deadline - now)):
                continue
            self._waiting.remove(text)
            # A text that nobody waits for any more is not computed.
            if text.deadline > time.monotonic() and text.answer.set_running_or_notify_cancel():
                batch.append(text)
                characters += len(text.request.text) + sum(map(len, text.request.context.values()))
        return batch

    def _decide(self, batch: Sequence[WaitingText]) -> None:
        """Decide texts together; if that fails, each half by itself, so that a text fails for none but itself.

        Where the server of a model answers nobody, none is asked again: each try takes long.
        """
        explainer = self._explainers[batch[0].model]
        try:
            problems = explainer.problems([text.request for text in batch])
            fitting = [text for text, problem in zip(batch, problems, strict=True) if problem is None]
            earliest = min((text.deadline for text in fitting), default=0.0)
            decisions = explainer.decide_many([text.within_time(earliest) for text in fitting]) if fitting else []
        except (
            Exception
        ) as error:  # whatever it is, the others are answered; it is said, without what it says of a text
            say(f"deciding {len(batch)} texts failed: {failure_without_text(error)}")
            if len(batch) == 1 or (isinstance(error, ModelUnavailableError) and not error.may_answer_others):
                for text in batch:
                    _refuse(text, refusal_of(error))
                return
            middle = len(batch) // 2
            self._decide(batch[:middle])
            self._decide(batch[middle:])
            return
        for text, problem in zip(batch, problems, strict=True):
            if problem is not None:
                _refuse(text, refusal_of(UnusableTextError(problem)))
        for text, decision in zip(fitting, decisions, strict=True):
            self._on_decision(text, decision)
            text.answer.set_result(decision)


def _refuse(text: WaitingText, refusal: RequestError) -> None:
    if not text.answer.cancelled():
        text.answer.set_exception(refusal)


def failure_without_text(error: BaseException) -> str:
    """Return the kind of an error and where it came from, for what it says may hold a text.

    What holds none is told as it is: what a server of a model did, want of memory, numbers that are not finite.
    """
    if isinstance(error, ApiModelError | NotEnoughMemoryError | NotFiniteError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
