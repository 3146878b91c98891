"""How long one question takes from the command to its answer: `saywhy explain`, beside plain transformers.

What is computed: `saywhy explain TEXT` in a process of its own, with a warm cache, as a user types it: a short text
and a review of 114 words. The clock stops at the first line, which is the answer, and at the end, when three
explanations are there and rechecked. The other side is a process that does no more than transformers has to do for an
answer: import, load the same weights and tokenizer, one forward pass over the question; its label before calibration
is checked to be the same.

Examples:
  python -m benchmarks.first_answer
  python -m benchmarks.first_answer --rounds 7
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.common import Ledger, grid, progress
from benchmarks.script import arguments, begin, finish, run
from benchmarks.work import Machine, load_exact
from saywhy.models.spec import resolve_model
from saywhy.protocol import prompts
from saywhy.records import SaywhyError
from saywhy.tasks.task import load_task

REVIEW = (
    "I had been waiting for months to see this film and went with my whole family on the first rainy "
    "evening of autumn . The opening looked promising , with lovely music and a town by the sea that "
    "anyone would want to visit . Then the story slowed down and the hero began to explain his feelings "
    "again and again , while nothing happened for almost an hour . My daughter fell asleep and my brother"
    " left to buy coffee . The ending was a mess that made no sense to any of us . Even so the pictures "
    "were pretty and the actors did what they could with such weak lines ."
)
TEXTS = {"9 words": "the queue was awful but the show was superb", "114 words": REVIEW}
PLAIN = """
import json, sys
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, chat, before, labels = json.loads(sys.argv[1])
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
prompt = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) + before
ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"]
with torch.inference_mode():
    logits = model(ids).logits[0, -1]
words = {name: tokenizer(" " + word, add_special_tokens=False)["input_ids"][0] for name, word in labels.items()}
print(labels[max(words, key=lambda name: logits[words[name]])])
"""


def timed(words: Sequence[str]) -> tuple[str, float, float]:
    """Return the first line of a command, and the seconds until it and until the end.

    Raises:
        SaywhyError: If the command fails.
    """
    started = time.monotonic()
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=quiet) as process:
        assert process.stdout
        line = process.stdout.readline()
        first = time.monotonic() - started
        _, errors = process.communicate()
    if process.returncode:
        raise SaywhyError(f"the command ended with {process.returncode}: {errors.strip().splitlines()[-1:]}")
    return line.strip(), first, time.monotonic() - started


def explained(model: str, text: str) -> tuple[str, float, float]:
    """Return what ``timed`` says of ``saywhy explain``."""
    return timed([sys.executable, "-m", "saywhy", "explain", f"model={model}", text])


def plainly(model: str, text: str) -> tuple[str, float, float]:
    """Return what ``timed`` says of transformers alone."""
    task = load_task("sentiment140")
    before, _ = prompts.answer_parts(task)
    asked = [resolve_model(model).base, prompts.question_chat(task, text, {}), before, task.labels]
    return timed([sys.executable, "-c", PLAIN, json.dumps(asked)])


def uncalibrated(line: str) -> str:
    """Return the answer before calibration, of the first line of ``saywhy explain``."""
    _, _, raw = line.partition("before calibration: ")
    return (raw or line).split(";")[0].split()[0]


def measured(ledger: Ledger, model: str, rounds: int) -> dict[str, list[list[float]]]:
    """Return, by text, the seconds of each round: first answer, end, transformers alone."""
    seconds: dict[str, list[list[float]]] = {}
    for name, text in TEXTS.items():
        explained(model, text)  # fills the cache
        for number in range(rounds):
            progress(f"{name}: round {number + 1} of {rounds}")

            def once(text: str = text) -> list[float]:
                ours, (answer, _, plain) = explained(model, text), plainly(model, text)
                if uncalibrated(ours[0]) != answer:
                    raise SaywhyError(f"saywhy answers {ours[0]!r}, transformers {answer!r}")
                return [*ours[1:], plain]

            seconds.setdefault(name, []).append(ledger.once(f"{name} {number}", once))
    return seconds


def section(seconds: dict[str, list[list[float]]], machine: Machine) -> str:
    """Return the section of RESULTS.md."""
    rows = []
    for name, rounds in seconds.items():
        first, whole, plain = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = statistics.median(of_round[0] / of_round[2] for of_round in rounds)
        rows.append([name, str(len(rounds)), f"{first:.1f}", f"{whole:.1f}", f"{plain:.1f}", f"{ratio:.2f}"])
    header = [
        "text",
        "rounds",
        "first answer, s",
        "all explanations, s",
        "transformers alone, s",
        "first answer / that",
    ]
    note = "Seconds from the command on, medians, each in a process of its own, with a warm cache. Same answers."
    return f"## The first answer\n\n{machine.facts()}\n\n{note}\n\n{grid(header, rows)}"


def main() -> None:
    """Measure, and write the section."""
    options = arguments(__doc__ or "", "one round", rounds=5).parse_args()
    ledger = begin("first_answer", options)
    seconds = measured(ledger, options.model, 1 if options.quick else options.rounds)
    finish("first_answer", options, section(seconds, Machine(load_exact(options.model))), ledger)


if __name__ == "__main__":
    run("first_answer", main)
