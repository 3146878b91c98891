"""Gradient x input and integrated gradients: the margin's slope in the text's embeddings, added up to words.

A few backward passes a text, not a forward pass a word. The score of a word is that of all its occurrences. The
calibration constants only shift the margin: they choose the two labels, no gradient sees them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from saywhy.attribution import Options
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models.chat import Offsets
from saywhy.models.forward import body, logits
from saywhy.models.interface import Tick
from saywhy.models.local import LocalModel
from saywhy.models.precision import exact
from saywhy.models.tree import Ids
from saywhy.protocol import prompts
from saywhy.records import SaywhyError, WordScores
from saywhy.words import occurrences

BACKWARD = 4
"""How much more memory a token takes when its gradient is wanted, about."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt that ends in the lead-in, ready for gradients.

    Attributes:
        text: The explained text.
        start: Where (character offset) it begins in the prompt.
        offsets: Of the prompt's tokens, in characters.
        embedded: The prompt's input embeddings, shape (1, tokens, width).
        tails: The ids of the predicted label and of the runner-up.
    """

    text: str
    start: int
    offsets: Offsets
    embedded: torch.Tensor
    tails: tuple[Ids, Ids]

    def inside(self, first: int, last: int) -> list[int]:
        """Return the tokens that touch the characters ``first`` to ``last`` of the text."""
        a, b = self.start + first, self.start + last
        return [at for at, (left, right) in enumerate(self.offsets) if left < b and a < right]

    def words(self, tokens: Sequence[float], method: str, change: float | None, gap: float | None) -> WordScores:
        """Add up the scores of the tokens that touch a word's core, over all its occurrences."""
        if not all(map(math.isfinite, tokens)):
            raise SaywhyError(f"{method}: the model's gradients are not finite numbers: try precision=float32")
        scores: dict[str, float] = {}
        for word in occurrences(self.text):
            mine = sum(tokens[at] for at in self.inside(word.core_start, word.core_end))
            scores[word.key] = scores.get(word.key, 0.0) + mine
        return WordScores(tuple(scores), tuple(scores.values()), method, change, gap)


def gradient_x_input(
    classifier: Classifier, items: Sequence[Item], options: Options, tick: Tick | None = None
) -> list[WordScores]:
    """Return each word's share (nats) of the predicted label's margin: gradient times embedding.

    First order only, so an approximation of occlusion (Shrikumar et al. 2016; Denil et al. 2014).

    Raises:
        SaywhyError: If the model has no gradients (a scripted one), or its template changes the text.
    """
    model = differentiable(classifier, "gradient_x_input")
    found = []
    for item in items:
        asked = ask(classifier, model, item)
        slope = mean_slope(
            model, asked.embedded, torch.zeros_like(asked.embedded), np.zeros(1), np.ones(1), asked.tails
        )
        found.append(asked.words((slope * asked.embedded).sum(-1)[0].tolist(), "gradient_x_input", None, None))
        if tick:
            tick(1)
    return found


def integrated_gradients(
    classifier: Classifier, items: Sequence[Item], options: Options, tick: Tick | None = None
) -> list[WordScores]:
    """Return each word's share (nats) of the margin's change from a blank text (Sundararajan et al. 2017).

    The baseline is the same prompt with a blank's embedding at every token of the text: a text in which nothing
    stands. Not zero: models normalise what they read, so a path from zero has nearly all of its change in its first
    few hundredths, which takes many more steps. The path is integrated by Gauss-Legendre quadrature, captum's default.
    The scores of the text's tokens, punctuation included, add up to the change, but for a gap that is kept.

    Raises:
        SaywhyError: If the model has no gradients (a scripted one), or its template changes the text.
    """
    model = differentiable(classifier, "integrated_gradients")
    points, shares = np.polynomial.legendre.leggauss(options.steps)
    found = []
    for item in items:
        asked = ask(classifier, model, item)
        blank = baseline(model, asked)
        along = asked.embedded - blank
        mean = mean_slope(model, blank, along, (points + 1) / 2, shares / 2, asked.tails)
        tokens = (mean * along).sum(-1)[0].double().tolist()
        with torch.no_grad(), exact():
            ends = margin(model, torch.cat([asked.embedded, blank]), asked.tails).tolist()
        change = ends[0] - ends[1]
        found.append(asked.words(tokens, "integrated_gradients", change, math.fsum(tokens) - change))
        if tick:
            tick(1)
    return found


def differentiable(classifier: Classifier, method: str) -> LocalModel:
    """Return the classifier's model; refuse one without gradients."""
    model = classifier.model
    if not isinstance(model, LocalModel):
        raise SaywhyError(f"{method} needs a model with gradients, not '{model.name}': use occlusion")
    return model


def ask(classifier: Classifier, model: LocalModel, item: Item) -> Asked:
    """Return the prompt of ``item`` with its embeddings, and the ids of the label and of the runner-up.

    Raises:
        SaywhyError: If the chat template changes the text.
    """
    task, text = classifier.task, item.example.text
    chat = prompts.question(task, text, item.example.context)
    opened, turn = model.chat.open(chat), chat[-1]["content"]
    at = opened.rfind(turn.strip())
    if at < 0:
        raise SaywhyError("the chat template changes the text: gradients cannot be given to its words")
    rendered = opened + task.lead_in
    labels = [task.labels[label] for label in (item.prediction.label, item.prediction.runner_up)]
    head, whole = model.chat.continuations(rendered, [" " + label for label in labels])
    [(ids, offsets)] = model.chat.ids_and_offsets([rendered])
    # The turn ends with the text; a template may strip the blanks around a turn.
    start = at - (len(turn) - len(turn.lstrip())) + len(turn) - len(text)
    return Asked(text, start, offsets, embed(model, ids), (whole[0][len(head) :], whole[1][len(head) :]))


def embed(model: LocalModel, ids: Sequence[int]) -> torch.Tensor:
    """Return input embeddings, shape (1, tokens, width), detached."""
    table = model.model.get_input_embeddings()
    found: torch.Tensor = table(torch.tensor([list(ids)], device=model.model.device)).detach()
    return found


def baseline(model: LocalModel, asked: Asked) -> torch.Tensor:
    """Return the prompt's embeddings with a blank's at every token of the text, shape (1, tokens, width)."""
    blank, text = asked.embedded.clone(), asked.text
    # A tokenizer that keeps no blanks has at least the token that ends a turn.
    ids = model.chat.ids([" "])[0] or model.chat.ender
    blank[:, asked.inside(len(text) - len(text.lstrip()), len(text.rstrip()))] = embed(model, ids[-1:])
    return blank


def mean_slope(
    model: LocalModel,
    start: torch.Tensor,
    along: torch.Tensor,
    points: npt.NDArray[np.float64],
    shares: npt.NDArray[np.float64],
    tails: tuple[Ids, Ids],
) -> torch.Tensor:
    """Return the weighted mean of the margin's gradient over points of a path, shape (1, tokens, width).

    As many points at once as the model's budget holds; fewer when memory runs out.

    Args:
        model: The model.
        start: Input embeddings where the path begins, shape (1, tokens, width).
        along: From there to its end, same shape.
        points: Where on the path, from 0 to 1.
        shares: The weight of each point.
        tails: The ids of two labels.
    """
    mean = torch.zeros_like(start)

    def add(piece: slice) -> None:
        where, share = (torch.as_tensor(one[piece]).to(start)[:, None, None] for one in (points, shares))
        mean.add_((share * slopes(model, start + where * along, tails)).sum(0, keepdim=True))

    model.budget.slices(len(points), BACKWARD * start.shape[1], add)
    return mean


def slopes(model: LocalModel, embedded: torch.Tensor, tails: tuple[Ids, Ids]) -> torch.Tensor:
    """Return the margin's gradient in the embeddings of each prompt, shape (prompts, tokens, width).

    Raises:
        SaywhyError: If no gradient reaches the embeddings.
    """
    points = embedded.detach().requires_grad_(True)
    with torch.enable_grad(), exact():
        found = margin(model, points, tails).sum()
        if not found.requires_grad:
            raise SaywhyError(f"model '{model.name}' gives no gradients: use methods=occlusion")
        [slope] = torch.autograd.grad(found, points)
    return slope


def margin(model: LocalModel, embedded: torch.Tensor, tails: tuple[Ids, Ids]) -> torch.Tensor:
    """Return log P(first tail) - log P(second tail) behind each prompt, shape (prompts,) (uncalibrated, nats).

    Args:
        model: The model.
        embedded: Input embeddings of prompts of one length, shape (prompts, tokens, width).
        tails: The ids of two labels, each of one token or more.
    """
    if all(len(tail) == 1 for tail in tails):
        likely = _log_probabilities(model, embedded, 1)[:, 0]
        return likely[:, tails[0][0]] - likely[:, tails[1][0]]
    first, second = (_log_probability(model, embedded, tail) for tail in tails)
    return first - second


def _log_probability(model: LocalModel, embedded: torch.Tensor, tail: Ids) -> torch.Tensor:
    # The last token predicts nothing that is asked for.
    said = embed(model, tail[:-1]).to(embedded.dtype).expand(len(embedded), -1, -1) if tail[1:] else embedded[:, :0]
    likely = _log_probabilities(model, torch.cat([embedded, said], 1), len(tail))
    return likely[:, range(len(tail)), list(tail)].sum(-1)


def _log_probabilities(model: LocalModel, embedded: torch.Tensor, last: int) -> torch.Tensor:
    """Return log P(token) behind each of the ``last`` places, shape (prompts, last, vocabulary)."""
    hidden = body(model.model)(inputs_embeds=embedded, use_cache=False).last_hidden_state[:, -last:]
    return torch.log_softmax(logits(model.model, hidden), -1)
