"""What is measured: a model as saywhy holds it and as transformers does, texts, and a tokenizer made of them."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, cast

import torch
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, GenerationConfig, PretrainedConfig, PreTrainedModel
from transformers import PreTrainedTokenizerFast as FastTokenizer

from benchmarks import plain
from benchmarks.work import Bare
from saywhy.measure.edits import Item, items_of
from saywhy.measure.predict import Classifier
from saywhy.models.chat import Chat
from saywhy.models.local import LocalModel
from saywhy.pocket import rows
from saywhy.records import Example
from saywhy.words import candidates, take_out

if TYPE_CHECKING:
    from saywhy.tasks.task import Task

TASK = "sentiment140"
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True)
class PromptTask:
    """What prompts read of a task; ``tasks.task.Task`` checks task files, and needs pydantic for it."""

    name: str
    question: str
    lead_in: str
    noun: str
    labels: Mapping[str, str]
    stand_in: str
    text: str = "text"
    context: tuple[str, ...] = ()
    prompt: None = None
    plan: str = "direct"


def task() -> Task:
    """Return the task whose built-in texts are asked about."""
    file = resources.files("saywhy").joinpath("catalog", f"{TASK}.yaml")
    written = yaml.safe_load(file.read_text("utf-8"))
    named = {key: written[key] for key in ("name", "question", "lead_in", "noun", "stand_in")}
    return cast("Task", PromptTask(**named, labels={label: label for label in written["labels"]}))


def examples(count: int) -> tuple[Example, ...]:
    """Return so many of the built-in texts."""
    drawn = itertools.islice(itertools.cycle(rows(TASK, "test")), count)
    return tuple(Example(f"t{number}", row["text"]) for number, row in enumerate(drawn))


@functools.cache
def tokenizer(size: int) -> FastTokenizer:
    """Train a byte-level tokenizer on the built-in texts, about a token a word; nothing is downloaded."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    special, alphabet = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    asked = task()
    answers = [f"{asked.lead_in} {word}." for word in asked.labels.values()]
    lines = [line for row in rows(TASK, "train") for line in (row["text"], asked.question, *answers)]
    bpe.train_from_iterator(lines, trainer)
    made = FastTokenizer(tokenizer_object=bpe, eos_token=special[2], pad_token=special[0])
    made.chat_template = CHATML
    return made


@torch.no_grad()
def random_model(config: PretrainedConfig, device: torch.device, dtype: torch.dtype) -> PreTrainedModel:
    """Return random weights of a shape, made where they are used, the same on every call."""
    torch.manual_seed(0)
    with device:
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    return cast(PreTrainedModel, model.to(device).eval())


def twin(model: PreTrainedModel) -> PreTrainedModel:
    """Return the model once more on the same weights: saywhy changes how a model it holds attends."""
    shared = {id(tensor): tensor for tensor in itertools.chain(model.parameters(), model.buffers())}
    return copy.deepcopy(model, shared)


@dataclass(frozen=True)
class Subject:
    """A model that is measured.

    Attributes:
        local: As saywhy holds it.
        bare: On the same weights, as transformers does.
        task: What is asked.
        examples: The texts.
    """

    local: LocalModel
    bare: Bare
    task: Task
    examples: tuple[Example, ...]

    @property
    def classifier(self) -> Classifier:
        """The classifier; calibration constants would shift all sides alike."""
        return Classifier(self.local, self.task, dict.fromkeys(self.task.labels, 0.0))

    def items(self) -> list[Item]:
        """Return the texts with the model's answers."""
        return items_of(self.classifier, self.examples)

    def prompts(self, chosen: Sequence[Example]) -> list[list[plain.Ids]]:
        """Return, of each text, its prompt and those of its edits."""
        edited = [[text, *(take_out(text, {word.key}) for word in candidates(text))] for text in _texts(chosen)]
        chat = self.bare.chat
        flat = iter(chat.ids([plain.rendered(chat, self.task, text, {}) for texts in edited for text in texts]))
        return [[next(flat) for _ in texts] for texts in edited]


def _texts(chosen: Sequence[Example]) -> list[str]:
    return [example.text for example in chosen]


def subject(model: PreTrainedModel, words: Any, count: int, token_budget: int | None = None) -> Subject:
    """Return a model with its tokenizer ``words`` and so many texts, ready to be measured."""
    bare = twin(model)
    bare.generation_config = GenerationConfig()
    chat = Chat(words, "bare")
    return Subject(LocalModel("gpu", model, words, token_budget), Bare(bare, chat), task(), examples(count))
