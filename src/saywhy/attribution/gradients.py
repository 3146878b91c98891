"""Gradient x input: the margin's gradient in the input embeddings times the embeddings, added up to words.

One backward pass a text, not a forward pass a word; first order only, so an approximation of occlusion
(Shrikumar et al. 2016; Denil et al. 2014). The score of a word is that of all its occurrences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from saywhy import prompts
from saywhy.edits import Item
from saywhy.models.chat import Offsets
from saywhy.models.forward import body
from saywhy.models.local import LocalModel
from saywhy.models.protocol import Tick
from saywhy.models.tree import Ids
from saywhy.predict import Classifier
from saywhy.records import SaywhyError, WordScores
from saywhy.words import occurrences


def gradient_x_input(classifier: Classifier, items: Sequence[Item], tick: Tick | None = None) -> list[WordScores]:
    """Return each word's share (nats) of the predicted label's margin.

    The calibration constants only shift the margin: they choose the two labels, no gradient sees them.

    Args:
        classifier: A ``LocalModel`` and its task.
        items: Texts and predictions.
        tick: Progress.

    Raises:
        SaywhyError: If the model has no gradients (a scripted one), or its template changes the text.
    """
    model = classifier.model
    if not isinstance(model, LocalModel):
        raise SaywhyError(f"gradient_x_input needs a model with gradients, not '{model.name}': use occlusion")
    found = []
    for item in items:
        rendered, (ids, offsets), tails = _asked(classifier, model, item)
        embedded = model.model.get_input_embeddings()(torch.tensor([ids], device=model.model.device)).detach()
        embedded.requires_grad_(True)
        [slope] = torch.autograd.grad(margin(model, embedded, tails), embedded)
        tokens = (slope * embedded).sum(-1)[0].detach().float().tolist()
        found.append(_words(item.example.text, rendered, offsets, tokens))
        if tick:
            tick(1)
    return found


def _asked(classifier: Classifier, model: LocalModel, item: Item) -> tuple[str, tuple[Ids, Offsets], tuple[Ids, Ids]]:
    """Return the opened chat, the prompt's ids and offsets, and the ids of the label and of the runner-up."""
    task = classifier.task
    opened = model.chat.open(prompts.question(task, item.example.text, item.example.context))
    rendered = opened + task.lead_in
    labels = [task.labels[label] for label in (item.prediction.label, item.prediction.runner_up)]
    head, whole = model.chat.continuations(rendered, [" " + label for label in labels])
    [both] = model.chat.ids_and_offsets([rendered])
    return opened, both, (whole[0][len(head) :], whole[1][len(head) :])


def margin(model: LocalModel, embedded: torch.Tensor, tails: tuple[Ids, Ids]) -> torch.Tensor:
    """Return log P(first tail) - log P(second tail) behind an embedded prompt, shape () (uncalibrated, nats).

    Args:
        model: The model.
        embedded: The prompt's input embeddings, shape (1, n, width).
        tails: The ids of two labels, each of one token or more.
    """
    scores = [_log_probability(model.model, embedded, tail) for tail in tails]
    return scores[0] - scores[1]


def _log_probability(model: Any, embedded: torch.Tensor, tail: Ids) -> torch.Tensor:
    said = torch.tensor(tail, device=embedded.device)
    # The last token predicts nothing that is asked for.
    whole = torch.cat([embedded, model.get_input_embeddings()(said[:-1])[None].to(embedded.dtype)], 1)
    hidden = body(model)(inputs_embeds=whole, use_cache=False).last_hidden_state[0, -len(tail) :]
    likely = torch.log_softmax(model.get_output_embeddings()(hidden).float(), -1)
    return likely.gather(1, said[:, None]).sum()


def _words(text: str, rendered: str, offsets: Offsets, tokens: Sequence[float]) -> WordScores:
    """Add up the scores of the tokens that touch a word's core, over all its occurrences."""
    start = rendered.rfind(text.strip()) - (len(text) - len(text.lstrip()))
    if text.strip() not in rendered:
        raise SaywhyError("the chat template changes the text: gradients cannot be given to its words")
    scores: dict[str, float] = {}
    for word in occurrences(text):
        first, last = start + word.core_start, start + word.core_end
        mine = sum(score for score, (a, b) in zip(tokens, offsets, strict=True) if a < last and first < b)
        scores[word.key] = scores.get(word.key, 0.0) + mine
    return WordScores(tuple(scores), tuple(scores.values()), "gradient_x_input")
