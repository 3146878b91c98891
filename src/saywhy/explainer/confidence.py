"""How likely a reason was to hold before its recheck: what ``saywhy confidence`` fitted, applied to one decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from saywhy.explainer.decision import Confidence
from saywhy.explainer.inquiry import Inquiry
from saywhy.folders.store import read_object
from saywhy.measure.likelihoods import word_log_probabilities
from saywhy.models.shipped import CalibrationKey, finite_constants
from saywhy.progress import say
from saywhy.records import SaywhyError
from saywhy.stats.confidence import ConfidenceFeatures, ConfidenceModel

CONFIDENCE_FILE = "confidence.json"
"""What ``saywhy confidence`` writes into a run folder (docs/confidence.md)."""

CONFIDENCE_SCHEMA = 1
"""Version of that file. Raised whenever a field changes its meaning."""

SAME_CONSTANTS = 0.01
"""Calibration constants no further apart (nats) are the same: so much do other batches and number formats move them."""


@dataclass(frozen=True, slots=True)
class FittedConfidence:
    """A confidence that was fitted on an audit of the model that explains.

    Attributes:
        model: It.
        threshold: Probability from which on a reason may be shown without a recheck; None: none may.
        constants: Calibration constants of the answers that it was fitted on; None: an older version did not note them.
    """

    model: ConfidenceModel
    threshold: float | None
    constants: Mapping[str, float] | None = None

    def of(self, inquiry: Inquiry) -> Confidence | None:
        """Return how likely the word that the model names first was to hold; None where it names none."""
        reply = inquiry.replies.get("attribution")
        if reply is None or not reply.explanation.valid or not inquiry.likelihoods:
            return None
        known = word_log_probabilities(inquiry.likelihoods.items())
        (word,) = reply.explanation.words
        features = ConfidenceFeatures(known[word], inquiry.item.prediction.margin, len(inquiry.keys))
        probability = self.model.probability(features)
        like = self.model.decisions_like(probability)
        is_shown = self.threshold is not None and probability >= self.threshold
        return Confidence(probability, like.share, like.low, like.high, like.n, is_shown)

    def tied_to(self, constants: Mapping[str, float], place: Path) -> FittedConfidence:
        """Return it for answers that are calibrated by ``constants``.

        Where it was fitted on answers that were calibrated otherwise, that is said, and no reason is shown without a
        recheck: margins and answers are others, and what was promised was promised of those.

        Args:
            constants: Calibration constants (nats) by label.
            place: Where it was read from, for what is said.
        """
        if self.constants is None:
            problem = "does not say by which calibration constants its answers were calibrated"
        elif self.constants.keys() != constants.keys():
            problem = "was fitted on answers with other labels"
        else:
            apart = max(abs(self.constants[label] - constant) for label, constant in constants.items())
            if apart <= SAME_CONSTANTS:
                return self
            problem = f"was fitted on answers that were calibrated otherwise (constants up to {apart:.2g} nats apart)"
        say(
            f"the confidence of {place} {problem}: no reason is shown without a recheck; audit with the data and "
            "settings of now, and fit it again with 'saywhy confidence'"
        )
        return replace(self, threshold=None)


def read_confidence(place: Path, key: CalibrationKey) -> FittedConfidence:
    """Return the confidence that was fitted on an audit.

    Args:
        place: The run folder, or the file that ``saywhy confidence`` wrote.
        key: What the model that explains is calibrated for.

    Raises:
        SaywhyError: If there is none, if it is damaged, or if it belongs to another model, prompt or task.
    """
    file = place / CONFIDENCE_FILE if place.is_dir() else place
    if not file.is_file():
        raise SaywhyError(f"{file} does not exist: fit it on a finished audit with 'saywhy confidence {place}'")
    content = read_object(file)
    if content.get("schema") != CONFIDENCE_SCHEMA:
        raise SaywhyError(f"{file} is of another version of saywhy: fit it again with 'saywhy confidence'")
    belongs, threshold = content.get("belongs"), content.get("threshold")
    try:
        model = ConfidenceModel.from_dict(content["model"])
        if not isinstance(belongs, dict) or isinstance(threshold, bool) or not model.counts or model.weighs_agreement:
            raise TypeError("it lacks what 'saywhy confidence' writes")
        constants = None if content.get("constants") is None else finite_constants(content["constants"])
        fitted = FittedConfidence(model, None if threshold is None else float(threshold), constants)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SaywhyError(f"{file} is damaged ({error}): fit it again with 'saywhy confidence'") from error
    if others := [name for name, value in key.items() if belongs.get(name) != value]:
        raise SaywhyError(f"{file} was fitted for other {' and '.join(others)}: audit this model, and fit it again")
    return fitted
