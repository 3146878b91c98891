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

from saywhy.hints import did_you_mean
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models.interface import Tick
from saywhy.records import Operator, SaywhyError, WordScores
from saywhy.tasks.lexicon import Associations


@dataclass(frozen=True, slots=True)
class Options:
    """What methods may be told; each looks at its own.

    Attributes:
        operator: How a word is taken out (occlusion, KernelSHAP, LIME).
        steps: Points on the path of integrated gradients.
        samples: Masked texts that KernelSHAP and LIME fit each text's line to.
        seed: Of everything that is drawn; the same seed gives a text the same scores in any company.
        associations: Words' associations with labels (``lexical``).
    """

    operator: Operator = "redact"
    steps: int = 50
    samples: int = 200
    seed: int = 0
    associations: Associations = field(default_factory=dict)


class Method(Protocol):
    """An attribution method."""

    def __call__(
        self, classifier: Classifier, items: Sequence[Item], options: Options, tick: Tick | None = None
    ) -> list[WordScores]:
        """Return one score a distinct word, for each item; higher speaks more for the predicted label."""


def _of(module: str, name: str) -> Method:
    """Return the function ``name`` of a module of this package, which is imported when it is called."""

    def method(
        classifier: Classifier, items: Sequence[Item], options: Options, tick: Tick | None = None
    ) -> list[WordScores]:
        found = getattr(importlib.import_module(f"{__name__}.{module}"), name)
        return cast(Method, found)(classifier, items, options, tick)

    return method


METHODS: Mapping[str, Method] = {
    "occlusion": _of("occlusion", "occlusion"),
    "gradient_x_input": _of("gradients", "gradient_x_input"),
    "integrated_gradients": _of("gradients", "integrated_gradients"),
    "kernel_shap": _of("sampling", "kernel_shap"),
    "lime": _of("sampling", "lime"),
    "lexical": _of("baselines", "lexical"),
    "random": _of("baselines", "at_random"),
}
"""Every method. A new one is a function and a line here; torch is loaded when it is called."""

TAKE_OUT = frozenset({"occlusion", "kernel_shap", "lime"})
"""Methods that take words out, and so have an operator."""

CAPTUM = frozenset({"kernel_shap", "lime"})
"""Methods that come from captum, an extra."""


def passes(methods: Sequence[str], operators: Sequence[Operator]) -> list[tuple[str, Operator]]:
    """Return what is computed of each text: occlusion under every operator, the others once, under the first.

    Hundreds of masked texts under one operator cost more than all the rest together.
    """
    return [(name, one) for name in methods for one in (operators if name == "occlusion" else operators[:1])]


def check(names: Sequence[str], key: str = "methods") -> None:
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
        if name in CAPTUM and importlib.util.find_spec("captum") is None:
            raise SaywhyError(f"{key}={name} needs captum: pip install 'saywhy[attribution]'")
