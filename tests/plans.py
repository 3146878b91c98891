"""A small plan of a study, and files of it."""

from pathlib import Path

import yaml

from saywhy.study.plan import StudyPlan

SMALL = {
    "name": "try",
    "tasks": ["sentiment140", "snli"],
    "unseen": ["ag_news"],
    "seeds": [0, 1],
    "with": {"train_rows": 8},
    "blocks": [
        {"name": "main", "arms": ["base", "adapted", "faithful", "random"], "seeds": [0, 1]},
        {"name": "styles", "train_styles": "each", "train_tasks": [["snli"]]},
        {"name": "unseen", "train_tasks": "all", "test_tasks": "unseen"},
        {"name": "anew", "variant": "refreshed", "train_tasks": [["snli"]]},
        {"name": "more", "variant": "more", "train_tasks": [["snli"]], "with": {"train_rows": 20}},
    ],
    "confirmatory": [{"block": "main"}],
}


def plan(**changes) -> StudyPlan:
    return StudyPlan(**{**SMALL, **changes})


def file_of(folder: Path, **changes) -> Path:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({**SMALL, **changes}), "utf-8")
    return path
