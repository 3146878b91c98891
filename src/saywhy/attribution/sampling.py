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

from saywhy.attribution import Options
from saywhy.measure.edits import Item, stand_in
from saywhy.measure.predict import Classifier
from saywhy.models.interface import Tick
from saywhy.records import WordScores
from saywhy.words import candidates, take_out

RIDGE = 1.0
"""LIME's penalty on the squared coefficients, as in its authors' code (Ribeiro et al. 2016)."""

Explain = Callable[[Callable[[torch.Tensor], torch.Tensor]], Any]
"""From a function of masks to captum's explainer."""


def kernel_shap(
    classifier: Classifier, items: Sequence[Item], options: Options, tick: Tick | None = None
) -> list[WordScores]:
    """Return each word's Shapley value (nats), estimated by KernelSHAP (Lundberg, Lee 2017).

    The values of a text add up to its margin minus the margin with all words taken out.
    """
    from captum.attr import KernelShap

    def explain(margins: Callable[[torch.Tensor], torch.Tensor]) -> Any:
        explainer = KernelShap(margins)
        explainer.interpretable_model = Line()
        return explainer

    return _sampled(explain, "kernel_shap", classifier, items, options, tick)


def lime(classifier: Classifier, items: Sequence[Item], options: Options, tick: Tick | None = None) -> list[WordScores]:
    """Return the weight of each word (nats) in a ridge regression on masked texts (LIME; Ribeiro et al. 2016).

    Each word is kept with probability one half; a masked text counts by captum's kernel (cosine distance, width 1).
    """
    from captum.attr import Lime

    return _sampled(lambda margins: Lime(margins, Line(RIDGE)), "lime", classifier, items, options, tick)


def _sampled(
    explain: Explain,
    method: str,
    classifier: Classifier,
    items: Sequence[Item],
    options: Options,
    tick: Tick | None,
) -> list[WordScores]:
    found = []
    for item in items:
        keys = tuple(word.key for word in candidates(item.example.text))
        explainer = explain(margins_of(classifier, item, keys, options))
        # Captum draws from torch's own generator: a text's draws must not hang on what was drawn before.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(options.seed, item.example.id))
            scores = explainer.attribute(
                torch.ones(1, len(keys)),
                n_samples=options.samples,
                perturbations_per_eval=options.samples,
                return_input_shape=False,
            )
        found.append(WordScores(keys, tuple(scores.flatten().tolist()), method))
        if tick:
            tick(1)
    return found


def margins_of(
    classifier: Classifier, item: Item, keys: Sequence[str], options: Options
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function from masks, shape (n, words), 1 where a word stays, to the label's margins (nats), shape (n,).

    The masked texts are classified together, each distinct one once: they share a prefix tree.
    """
    text, filler = item.example.text, stand_in(classifier.task, options.operator)

    def masked(mask: Sequence[float]) -> str:
        return take_out(text, [key for key, kept in zip(keys, mask, strict=True) if not kept], filler)

    def margins(masks: torch.Tensor) -> torch.Tensor:
        texts = [masked(mask) for mask in masks.tolist()]
        distinct = list(dict.fromkeys(texts))
        after = classifier.predict([(one, item.example.context) for one in distinct])
        margin = {one: found.margin_of(item.prediction.label) for one, found in zip(distinct, after, strict=True)}
        return torch.tensor([margin[one] for one in texts], dtype=torch.float64)

    return margins


class Line:
    """A weighted linear regression with an intercept, as captum asks its surrogates (``captum...models.Model``).

    Attributes:
        penalty: On the squared coefficients; the intercept is free.
    """

    def __init__(self, penalty: float = 0.0) -> None:
        self.penalty = penalty
        self._weights = torch.zeros(0)

    def fit(self, train_data: Any, **_: object) -> None:
        """Fit to one batch of (masks, margins, weights); of several best lines the one with the least weights."""
        [(masks, margins, weights)] = list(train_data)
        x, y, w = (each.numpy().astype(np.float64) for each in (masks, margins.flatten(), weights.flatten()))
        root = np.sqrt(w)
        left = root[:, None] * (x - np.average(x, axis=0, weights=w))
        right = root * (y - np.average(y, weights=w))
        pull = np.sqrt(self.penalty) * np.eye(x.shape[1])
        solved, *_rest = np.linalg.lstsq(np.vstack([left, pull]), np.append(right, np.zeros(len(pull))), rcond=None)
        self._weights = torch.from_numpy(solved)

    def representation(self) -> torch.Tensor:
        """Return the coefficients, shape (words,)."""
        return self._weights


def seed_of(seed: int, text: str) -> int:
    """Return the seed of torch's generator for a text."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{text}".encode()).digest()[:7])
