"""A task of two moods, and models that decide it by a rule: what the tests of the robustness checks share."""

import json

import tiny
from saywhy.arms import AUDITED
from saywhy.folders.store import write_lines
from saywhy.measure.audit import AuditPlan, audit
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models.scripted import ScriptedModel, honest, keyword_rule, liar
from saywhy.protocol.prompts import pinned_wording
from saywhy.records import Example
from saywhy.robustness.audited import AuditedText
from saywhy.runs import run
from saywhy.settings import parse
from saywhy.tasks.task import Task
from saywhy.training import models

TASK = Task(
    name="toys",
    question="Is this tweet negative or positive?",
    lead_in="The tweet is",
    noun="tweet",
    labels={"bad": "negative", "good": "positive"},
    paraphrases=[
        {"question": "Does the author sound negative or positive?", "lead_in": "The author sounds"},
        {"question": "Is its mood negative or positive?", "lead_in": "Its mood is"},
    ],
    verbaliser={"bad": "poor", "good": "fine"},
)
CUES = {"bad": {"awful": 2.0, "sad": 2.0}, "good": {"great": 2.0, "love": 2.0}}
RULE = keyword_rule(TASK, CUES, default="bad")
PINNED = {"bad": ("awful", "sad"), "good": ("great", "love")}
FULL = (
    "settings=one-word,free",
    "readouts=generated,guided,constrained,placebo",
    "operators=redact,delete,infill",
    "chunk=5",
)
"""Settings of an audit in which every check has something to judge."""
TEXTS = (
    "what a great sunny day here",
    "it was great just great again",
    "we love this day and the sea",
    "an awful cold flight to them",
    "nothing to see here for us",
    "the food at noon was great",
)


class Wordy(ScriptedModel):
    """Decides by the text only under the main question; under any other one everything is bad."""

    def _choose(self, choice):
        if choice.prefix and not choice.messages[0]["content"].startswith(TASK.question):
            return (1.0, 0.0)
        return super()._choose(choice)


class Ranked(ScriptedModel):
    """Scores every word by its place in the explainer's order."""

    def _choose(self, choice):
        if choice.prefix:
            return super()._choose(choice)
        order = self._request(choice.messages).ranked()
        return tuple(-float(order.index(option.casefold())) for option in choice.options)


def honest_to_the_pinned(request):
    """Name what the rule uses, if asked in the words of the audit; else what it uses least."""
    return (honest if request.wording == pinned_wording(request.style, request.setting) else liar)(request)


def study_of(tmp_path, monkeypatch, explain, *settings, kind=ScriptedModel, rewrite=str, folder="run"):
    """Run ``saywhy audit`` on a toy; return the run folder."""
    monkeypatch.setattr(models, "open_model", lambda *_: kind("toy", TASK, RULE, explain, PINNED, rewrite))
    if not (tmp_path / "model").exists():
        tiny.save(tmp_path / "model")
        for split, count in (("train", 90), ("test", 24)):
            write_lines(
                tmp_path / f"{split}.jsonl",
                (
                    {"text": f"{TEXTS[n % len(TEXTS)]} {n}", "label": "good" if RULE(TEXTS[n % 6])["good"] else "bad"}
                    for n in range(count)
                ),
            )
        (tmp_path / "toys.yaml").write_text(json.dumps(TASK.model_dump(mode="json", exclude={"hub"})))
    config = parse([f"model={tmp_path / 'model'}", f"task={tmp_path / 'toys.yaml'}", f"data={tmp_path}", *settings])
    return run.Run(config, tmp_path / folder, arms=(AUDITED,)).run()


def audited_toy(explain, texts=TEXTS, rule=RULE, kind=ScriptedModel, settings=("one-word",)):
    """Audit the texts with a toy; return its classifier, and what the checks start from."""
    toy = Classifier(kind("toy", TASK, rule, explain, PINNED), TASK, {"bad": 0.0, "good": 0.0})
    examples = [Example(f"t{n}", text) for n, text in enumerate(texts)]
    plan = AuditPlan(
        "toy", PINNED, ("attribution", "redaction", "counterfactual"), settings, ("generated", "constrained")
    )
    found = audit(toy, examples, plan)
    predictions = toy.predict_examples(examples)
    texts = [
        AuditedText(Item(one, before), tuple(row for row in found.rows if row.id == one.id), table, grid)
        for one, before, table, grid in zip(examples, predictions, found.tables, found.grids, strict=True)
    ]
    return toy, texts
