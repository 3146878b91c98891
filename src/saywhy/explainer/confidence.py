"""How likely a reason was to hold before its recheck: what ``saywhy confidence`` fitted, applied to one decision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from saywhy.explainer.decision import Confidence
from saywhy.explainer.inquiry import Inquiry
from saywhy.folders.store import read_object
from saywhy.measure.likelihoods import word_log_probabilities
from saywhy.models.shipped import CalibrationKey
from saywhy.records import SaywhyError
from saywhy.stats.confidence import ConfidenceFeatures, ConfidenceModel

CONFIDENCE_FILE = "confidence.json"
"""What ``saywhy confidence`` writes into a run folder (docs/confidence.md)."""

CONFIDENCE_SCHEMA = 1
"""Version of that file. Raised whenever a field changes its meaning."""


@dataclass(frozen=True, slots=True)
class FittedConfidence:
    """A confidence that was fitted on an audit of the model that explains.

    Attributes:
        model: It.
        threshold: Probability from which on a reason may be shown without a recheck; None: none may.
    """

    model: ConfidenceModel
    threshold: float | None

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
        fitted = FittedConfidence(model, None if threshold is None else float(threshold))
    except (KeyError, TypeError, ValueError) as error:
        raise SaywhyError(f"{file} is damaged ({error}): fit it again with 'saywhy confidence'") from error
    if others := [name for name, value in key.items() if belongs.get(name) != value]:
        raise SaywhyError(f"{file} was fitted for other {' and '.join(others)}: audit this model, and fit it again")
    return fitted
