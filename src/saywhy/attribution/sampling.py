"""KernelSHAP and LIME over words: captum draws and weighs the masked texts, a line is fitted to their margins.

Captum leaves the fit to scikit-learn, in float32. Here it is solved exactly, in float64, by numpy: one package
less, and KernelSHAP's two weights of a million cost no digits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from saywhy.attribution import MethodOptions
from saywhy.attribution.scores import WordScores
from saywhy.measure.edits import Item, stand_in
from saywhy.measure.predict import Classifier
from saywhy.models.interface import Tick
from saywhy.words import candidates, take_out

LIME_PENALTY = 1.0
"""LIME's penalty on the squared coefficients, as in its authors' code (Ribeiro et al. 2016)."""

ExplainerMaker = Callable[[Callable[[torch.Tensor], torch.Tensor]], Any]
"""From a function of masks to captum's explainer."""


def kernel_shap(
    classifier: Classifier, items: Sequence[Item], options: MethodOptions, tick: Tick | None = None
) -> list[WordScores]:
    """Return each word's Shapley value (nats), estimated by KernelSHAP (Lundberg, Lee 2017).

    The values of a text add up to its margin minus the margin with all words taken out.
    """
    from captum.attr import KernelShap

    def explain(margins: Callable[[torch.Tensor], torch.Tensor]) -> Any:
        explainer = KernelShap(margins)
        explainer.interpretable_model = LinearSurrogate()
        return explainer

    return _captum_scores(explain, "kernel_shap", classifier, items, options, tick)


def lime(
    classifier: Classifier, items: Sequence[Item], options: MethodOptions, tick: Tick | None = None
) -> list[WordScores]:
    """Return the weight of each word (nats) in a ridge regression on masked texts (LIME; Ribeiro et al. 2016).

    Each word is kept with probability one half; captum's kernel (cosine distance, width 1) weights the
    masked texts.
    """
    from captum.attr import Lime

    return _captum_scores(
        lambda margins: Lime(margins, LinearSurrogate(LIME_PENALTY)), "lime", classifier, items, options, tick
    )


def _captum_scores(
    explain: ExplainerMaker,
    method: str,
    classifier: Classifier,
    items: Sequence[Item],
    options: MethodOptions,
    tick: Tick | None,
) -> list[WordScores]:
    scores = []
    for item in items:
        keys = tuple(word.key for word in candidates(item.example.text))
        explainer = explain(masked_text_margins(classifier, item, keys, options))
        # Captum draws from torch's own generator: a text's draws must not depend on earlier draws.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(sampling_seed(options.seed, item.example.id))
            attributions = explainer.attribute(
                torch.ones(1, len(keys)),
                n_samples=options.samples,
                perturbations_per_eval=options.samples,
                return_input_shape=False,
            )
        scores.append(WordScores(keys, tuple(attributions.flatten().tolist()), method))
        if tick:
            tick(1)
    return scores


def masked_text_margins(
    classifier: Classifier, item: Item, keys: Sequence[str], options: MethodOptions
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function from masks, shape (n, words), 1 where a word stays, to the label's margins (nats), shape (n,).

    The masked texts are classified together, each distinct one once: they share a prefix tree.
    """
    text, filler = item.example.text, stand_in(classifier.task, options.operator)

    def masked(mask: Sequence[float]) -> str:
        return take_out(text, [key for key, keep in zip(keys, mask, strict=True) if not keep], filler)

    def margins(masks: torch.Tensor) -> torch.Tensor:
        texts = [masked(mask) for mask in masks.tolist()]
        distinct = list(dict.fromkeys(texts))
        predictions = classifier.predict([(masked_text, item.example.context) for masked_text in distinct])
        margin = {
            masked_text: prediction.margin_of(item.prediction.label)
            for masked_text, prediction in zip(distinct, predictions, strict=True)
        }
        return torch.tensor([margin[masked_text] for masked_text in texts], dtype=torch.float64)

    return margins


class LinearSurrogate:
    """A weighted linear regression with an intercept, for captum (its ``models.Model``).

    Attributes:
        penalty: Weight of the squared coefficients; the intercept has none.
    """

    def __init__(self, penalty: float = 0.0) -> None:
        self.penalty = penalty
        self._coefficients = torch.zeros(0)

    def fit(self, train_data: Any, **_: object) -> None:
        """Fit to one batch of (masks, margins, weights); of several best lines the one with the least weights."""
        [(masks, margins, weights)] = list(train_data)
        x, y, w = (values.numpy().astype(np.float64) for values in (masks, margins.flatten(), weights.flatten()))
        root = np.sqrt(w)
        left = root[:, None] * (x - np.average(x, axis=0, weights=w))
        right = root * (y - np.average(y, weights=w))
        penalty_rows = np.sqrt(self.penalty) * np.eye(x.shape[1])
        coefficients, *_rest = np.linalg.lstsq(
            np.vstack([left, penalty_rows]), np.append(right, np.zeros(len(penalty_rows))), rcond=None
        )
        self._coefficients = torch.from_numpy(coefficients)

    def representation(self) -> torch.Tensor:
        """Return the coefficients, shape (words,)."""
        return self._coefficients


def sampling_seed(seed: int, text_id: str) -> int:
    """Return the seed of torch's generator for the text with the id ``text_id``."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{text_id}".encode()).digest()[:7])
