"""Feature attribution: which words moved the predicted label's margin, one score a distinct word.

``METHODS`` maps a name to a function of (classifier, items, options, tick) that returns one ``WordScores`` a text.

>>> sorted(METHODS)
['gradient_x_input', 'integrated_gradients', 'kernel_shap', 'lexical', 'lime', 'occlusion', 'random']
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

from saywhy.attribution.scores import WordScores
from saywhy.hints import did_you_mean
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models.interface import Tick
from saywhy.records import Operator, SaywhyError
from saywhy.tasks.lexicon import Associations


@dataclass(frozen=True, slots=True)
class MethodOptions:
    """The options of all methods; each reads those that it needs.

    Attributes:
        operator: How a word is taken out (occlusion, KernelSHAP, LIME).
        steps: Points on the path of integrated gradients.
        samples: Masked texts that KernelSHAP and LIME fit each text's line to.
        seed: Of everything that is drawn; the same seed gives a text the same scores whatever the other texts.
        associations: Words' associations with labels (``lexical``).
    """

    operator: Operator = "redact"
    steps: int = 50
    samples: int = 200
    seed: int = 0
    associations: Associations = field(default_factory=dict)


class AttributionMethod(Protocol):
    """An attribution method."""

    def __call__(
        self, classifier: Classifier, items: Sequence[Item], options: MethodOptions, tick: Tick | None = None
    ) -> list[WordScores]:
        """Return one score a distinct word, for each item; higher speaks more for the predicted label."""


def _lazy_method(module: str, name: str) -> AttributionMethod:
    """Return the method ``name`` of a module of this package, which is imported when the method is called."""

    def method(
        classifier: Classifier, items: Sequence[Item], options: MethodOptions, tick: Tick | None = None
    ) -> list[WordScores]:
        function = getattr(importlib.import_module(f"{__name__}.{module}"), name)
        return cast(AttributionMethod, function)(classifier, items, options, tick)

    return method


METHODS: Mapping[str, AttributionMethod] = {
    "occlusion": _lazy_method("occlusion", "occlusion"),
    "gradient_x_input": _lazy_method("gradients", "gradient_x_input"),
    "integrated_gradients": _lazy_method("gradients", "integrated_gradients"),
    "kernel_shap": _lazy_method("sampling", "kernel_shap"),
    "lime": _lazy_method("sampling", "lime"),
    "lexical": _lazy_method("baselines", "lexical_scores"),
    "random": _lazy_method("baselines", "random_scores"),
}
"""Every method. A new one is a function and a line here; torch is loaded when it is called."""

OPERATOR_METHODS = frozenset({"occlusion", "kernel_shap", "lime"})
"""Methods that take words out, and so have an operator."""

GRADIENT_METHODS = frozenset({"gradient_x_input", "integrated_gradients"})
"""Methods that need the gradients of a model."""

CAPTUM_METHODS = frozenset({"kernel_shap", "lime"})
"""Methods that come from captum, an extra."""


def method_passes(methods: Sequence[str], operators: Sequence[Operator]) -> list[tuple[str, Operator]]:
    """Return the (method, operator) pairs to compute: occlusion under every operator, the others under the first.

    The hundreds of masked texts of one operator cost more than all other methods together.
    """
    return [(name, operator) for name in methods for operator in (operators if name == "occlusion" else operators[:1])]


def check_methods(names: Sequence[str], key: str = "methods") -> None:
    """Refuse what cannot be computed here, before anything is.

    Args:
        names: Names of methods.
        key: The setting that names them.

    Raises:
        SaywhyError: For a name that is no method (with the closest one), or one whose extra is not installed.
    """
    for name in names:
        if name not in METHODS:
            hint = did_you_mean(name, METHODS, ": ") or "."
            raise SaywhyError(f"{key}={name}: no attribution method{hint} Methods: {', '.join(METHODS)}")
        if name in CAPTUM_METHODS and importlib.util.find_spec("captum") is None:
            raise SaywhyError(f"{key}={name} needs captum: pip install 'saywhy[attribution]'")
