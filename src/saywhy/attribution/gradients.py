"""Gradient x input and integrated gradients: the margin's slope in the text's embeddings, added up to words.

A few backward passes a text, not a forward pass a word. The score of a word is that of all its occurrences. The
calibration constants only shift the margin: they choose the two labels and have no gradient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from saywhy.attribution import MethodOptions
from saywhy.attribution.scores import WordScores
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models.backends import require
from saywhy.models.chat import Offsets
from saywhy.models.forward import logits, transformer_body
from saywhy.models.interface import Tick
from saywhy.models.local import LocalModel
from saywhy.models.precision import exact_products
from saywhy.models.tree import TokenIds
from saywhy.protocol import prompts
from saywhy.records import SaywhyError
from saywhy.words import candidates, occurrences

BACKWARD_FACTOR = 4
"""How many times the memory of a forward pass a token takes when its gradient is computed, about."""


@dataclass(frozen=True, slots=True)
class GradientPrompt:
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
    tails: tuple[TokenIds, TokenIds]

    def token_indices(self, first: int, last: int) -> list[int]:
        """Return the tokens that touch the characters ``first`` to ``last`` of the text."""
        begin, end = self.start + first, self.start + last
        return [index for index, (left, right) in enumerate(self.offsets) if left < end and begin < right]

    def words(self, token_scores: Sequence[float], method: str, change: float | None, gap: float | None) -> WordScores:
        """Add up the scores of the tokens that touch a word's core, over all its occurrences."""
        if not all(map(math.isfinite, token_scores)):
            raise SaywhyError(f"{method}: the model's gradients are not finite numbers: try precision=float32")
        scores = {word.key: 0.0 for word in candidates(self.text)}
        for word in (word for word in occurrences(self.text) if word.key in scores):
            scores[word.key] += sum(token_scores[index] for index in self.token_indices(word.core_start, word.core_end))
        return WordScores(tuple(scores), tuple(scores.values()), method, change, gap)


def gradient_x_input(
    classifier: Classifier, items: Sequence[Item], options: MethodOptions, tick: Tick | None = None
) -> list[WordScores]:
    """Return each word's share (nats) of the predicted label's margin: gradient times embedding.

    First order only, so an approximation of occlusion (Shrikumar et al. 2016; Denil et al. 2014).

    Raises:
        SaywhyError: If the model has no gradients (a scripted one), or its template changes the text.
    """
    model = differentiable_model(classifier, "gradient_x_input")
    scores = []
    for item in items:
        prompt = gradient_prompt(classifier, model, item)
        slope = mean_margin_gradient(
            model, prompt.embedded, torch.zeros_like(prompt.embedded), np.zeros(1), np.ones(1), prompt.tails
        )
        scores.append(prompt.words((slope * prompt.embedded).sum(-1)[0].tolist(), "gradient_x_input", None, None))
        if tick:
            tick(1)
    return scores


def integrated_gradients(
    classifier: Classifier, items: Sequence[Item], options: MethodOptions, tick: Tick | None = None
) -> list[WordScores]:
    """Return each word's share (nats) of the margin's change from a blank text (Sundararajan et al. 2017).

    The baseline is the same prompt with a blank's embedding at every token of the text: a text in which nothing
    stands. Not zero: models normalise what they read, so a path from zero has nearly all of its change in its first
    few hundredths, which takes many more steps. The path is integrated by Gauss-Legendre quadrature, captum's default.
    The scores of the text's tokens, punctuation included, add up to the change, but for a gap that is kept.

    Raises:
        SaywhyError: If the model has no gradients (a scripted one), or its template changes the text.
    """
    model = differentiable_model(classifier, "integrated_gradients")
    points, weights = np.polynomial.legendre.leggauss(options.steps)
    scores = []
    for item in items:
        prompt = gradient_prompt(classifier, model, item)
        blank = blank_embeddings(model, prompt)
        direction = prompt.embedded - blank
        mean = mean_margin_gradient(model, blank, direction, (points + 1) / 2, weights / 2, prompt.tails)
        token_scores = (mean * direction).sum(-1)[0].double().tolist()
        with torch.no_grad(), exact_products():
            margins = label_margins(model, torch.cat([prompt.embedded, blank]), prompt.tails).tolist()
        change = margins[0] - margins[1]
        scores.append(prompt.words(token_scores, "integrated_gradients", change, math.fsum(token_scores) - change))
        if tick:
            tick(1)
    return scores


def differentiable_model(classifier: Classifier, method: str) -> LocalModel:
    """Return the classifier's model; refuse one without gradients."""
    require(classifier.model, "gradients", method, "use occlusion")
    return cast(LocalModel, classifier.model)  # of the backends, only transformers has gradients


def gradient_prompt(classifier: Classifier, model: LocalModel, item: Item) -> GradientPrompt:
    """Return the prompt of ``item`` with its embeddings, and the ids of the label and of the runner-up.

    Raises:
        SaywhyError: If the chat template changes the text.
    """
    task, text = classifier.task, item.example.text
    chat = prompts.question_chat(task, text, item.example.context)
    opened, content = model.chat.open(chat), chat[-1]["content"]
    position = opened.rfind(content.strip())
    if position < 0:
        raise SaywhyError("the chat template changes the text: gradients cannot be given to its words")
    before, _ = prompts.answer_parts(task)
    rendered, blank = model.chat.begin(chat, before), " " if before else model.chat.lead  # as ``option_sequences``
    answers = prompts.answers(task)
    labels = [answers[label] for label in (item.prediction.label, item.prediction.runner_up)]
    head, whole = model.chat.continuations(rendered, [blank + label for label in labels])
    [(ids, offsets)] = model.chat.ids_and_offsets([rendered])
    # A template may strip the blanks around a turn.
    stripped = len(content) - len(content.lstrip())
    start = position - stripped + prompts.text_offset(task, text, item.example.context)
    return GradientPrompt(
        text, start, offsets, token_embeddings(model, ids), (whole[0][len(head) :], whole[1][len(head) :])
    )


def token_embeddings(model: LocalModel, ids: Sequence[int]) -> torch.Tensor:
    """Return input embeddings, shape (1, tokens, width), detached."""
    layer = model.model.get_input_embeddings()
    embeddings: torch.Tensor = layer(torch.tensor([list(ids)], device=model.model.device)).detach()
    return embeddings


def blank_embeddings(model: LocalModel, prompt: GradientPrompt) -> torch.Tensor:
    """Return the prompt's embeddings with a blank's at every token of the text, shape (1, tokens, width)."""
    blank, text = prompt.embedded.clone(), prompt.text
    # A tokenizer that keeps no blanks has at least the token that ends a turn.
    ids = model.chat.ids([" "])[0] or model.chat.end_of_turn
    blank[:, prompt.token_indices(len(text) - len(text.lstrip()), len(text.rstrip()))] = token_embeddings(
        model, ids[-1:]
    )
    return blank


def mean_margin_gradient(
    model: LocalModel,
    start: torch.Tensor,
    direction: torch.Tensor,
    points: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64],
    tails: tuple[TokenIds, TokenIds],
) -> torch.Tensor:
    """Return the weighted mean of the margin's gradient over points of a path, shape (1, tokens, width).

    As many points are computed at once as the model's budget holds; fewer when memory runs out.

    Args:
        model: The model.
        start: Input embeddings where the path begins, shape (1, tokens, width).
        direction: From there to its end, same shape.
        points: Positions on the path, from 0 to 1.
        weights: The weight of each point.
        tails: The ids of two labels.
    """
    mean = torch.zeros_like(start)

    def add(piece: slice) -> None:
        position, weight = (torch.as_tensor(values[piece]).to(start)[:, None, None] for values in (points, weights))
        mean.add_((weight * margin_gradients(model, start + position * direction, tails)).sum(0, keepdim=True))

    model.budget.slices(len(points), BACKWARD_FACTOR * start.shape[1], add)
    return mean


def margin_gradients(model: LocalModel, embedded: torch.Tensor, tails: tuple[TokenIds, TokenIds]) -> torch.Tensor:
    """Return the margin's gradient in the embeddings of each prompt, shape (prompts, tokens, width).

    Raises:
        SaywhyError: If no gradient reaches the embeddings.
    """
    inputs = embedded.detach().requires_grad_(True)
    with torch.enable_grad(), exact_products():
        total = label_margins(model, inputs, tails).sum()
        if not total.requires_grad:
            raise SaywhyError(f"model '{model.name}' gives no gradients: use methods=occlusion")
        [slope] = torch.autograd.grad(total, inputs)
    return slope


def label_margins(model: LocalModel, embedded: torch.Tensor, tails: tuple[TokenIds, TokenIds]) -> torch.Tensor:
    """Return log P(first tail) - log P(second tail) behind each prompt, shape (prompts,) (uncalibrated, nats).

    Args:
        model: The model.
        embedded: Input embeddings of prompts of one length, shape (prompts, tokens, width).
        tails: The ids of two labels, each of one token or more.
    """
    if all(len(tail) == 1 for tail in tails):
        log_probabilities = _log_probabilities(model, embedded, 1)[:, 0]
        return log_probabilities[:, tails[0][0]] - log_probabilities[:, tails[1][0]]
    first, second = (_log_probability(model, embedded, tail) for tail in tails)
    return first - second


def _log_probability(model: LocalModel, embedded: torch.Tensor, tail: TokenIds) -> torch.Tensor:
    # The last token of the label predicts nothing that is needed.
    preceding = (
        token_embeddings(model, tail[:-1]).to(embedded.dtype).expand(len(embedded), -1, -1)
        if tail[1:]
        else embedded[:, :0]
    )
    log_probabilities = _log_probabilities(model, torch.cat([embedded, preceding], 1), len(tail))
    return log_probabilities[:, range(len(tail)), list(tail)].sum(-1)


def _log_probabilities(model: LocalModel, embedded: torch.Tensor, last: int) -> torch.Tensor:
    """Return log P(token) behind each of the ``last`` tokens, shape (prompts, last, vocabulary)."""
    hidden = transformer_body(model.model)(inputs_embeds=embedded, use_cache=False).last_hidden_state[:, -last:]
    return torch.log_softmax(logits(model.model, hidden), -1)
