"""Rows and tasks that the tests of examples share."""

from problems import fails
from saywhy.tasks.data import load_examples
from saywhy.tasks.task import Task

TASK = Task(name="reviews", question="Good or bad?", lead_in="It is", labels=["good", "bad"])
PAIRS = TASK.model_copy(update={"name": "pairs", "text": "claim", "context": ("source",)})
ROWS = [{"text": f"text number {i}", "label": ("good", "bad")[i % 2]} for i in range(200)]


def load_fails(rows, jsonl, task=TASK):
    path = jsonl(rows)
    line = fails(load_examples, task, "train", str(path.parent))
    assert line.startswith(str(path))
    return line.removeprefix(str(path))
