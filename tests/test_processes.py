"""Several processes of one launch do the work of one, and give its rows, its losses and its adapter."""

import json
import signal
from pathlib import Path

import pytest
from safetensors.torch import load_file

import kills
import tiny
from launched import ended, launch
from saywhy import pocket
from saywhy.folders.store import write_lines
from saywhy.measure.edits import Item
from saywhy.records import STYLES, Prediction
from saywhy.training import rows, targets
from saywhy.training.encoding import mix

AUDIT = ["rows=7", "decide_rows=24", "calibration_rows=12", "chunk=2", "pinned_words=2", "token_budget=2048",
         "readouts=generated,constrained"]  # fmt: skip
RUN = ["rows=5", "adapt_rows=7", "train_rows=7", "decide_rows=12", "calibration_rows=12", "chunk=2", "batch=3",
       "pinned_words=2", "token_budget=2048", "arms=base,adapted,faithful,random"]  # fmt: skip

USUAL = """
objective = None
"""
TELLS_CONNECTIONS = """
import atexit
import torch
from pathlib import Path

def tell_connections():
    names = {thread.read_text().strip() for thread in Path("/proc/self/task").glob("*/comm")}
    print("open" if torch.distributed.is_initialized() or "pt_gloo_runloop" in names else "closed")

atexit.register(tell_connections)
"""
"""Before ``USUAL``: says at the end of the process whether its connections to the others are closed by then, and their
threads (named on Linux alone) are gone."""
TRAIN = """
import json, os, sys
from pathlib import Path
from saywhy.models.spec import resolve_model
from saywhy.processes import is_first_process
from saywhy.training.encoding import Recipe
from saywhy.training.train import train

def tell(done, of):
    if done == int(kill_at) and not is_first_process():
        os.kill(os.getpid(), 9)

model, rows, out, rank, kill_at, batch = sys.argv[1:]
recipe = Recipe(learning_rate=1e-2, num_train_epochs=2, per_device_train_batch_size=int(batch), lora_r=int(rank))
train(resolve_model(model), json.loads(Path(rows).read_text()), recipe, Path(out), tell, objective)
"""

SHORT_OF_MEMORY = """
from saywhy.processes import process_rank as number
from saywhy.training.encoding import Recipe
from saywhy.training.objectives import objective_of

def refuse(slope):
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

def objective(forward, texts, rows=None):
    loss = objective_of(Recipe())(forward, texts, rows)
    if number() == 1 and len(texts) > 1:
        loss.register_hook(refuse)
    return loss
"""
"""Before ``TRAIN``: the second process has no memory for the gradients of two texts at once."""


def data(out: Path) -> dict[str, bytes]:
    """Return every file of rows, tables, grids, decisions and targets."""
    return {str(file.relative_to(out)): file.read_bytes() for file in sorted(out.rglob("*.jsonl"))}


@pytest.mark.slow
def test_two_processes_audit_as_one(tmp_path):
    model = tiny.save(tmp_path / "model")
    one, two = tmp_path / "one", tmp_path / "two"
    words = ["audit", f"model={model}", *AUDIT, "robustness=noise,labels-reversed"]
    for count, out in ((1, one), (2, two)):
        done = ended(launch(count, "-m", "saywhy", *words, f"out={out}"))
        assert [code for code, *_ in done] == [0] * count, done
    assert done[1][1:] == ("", ""), "only the first process speaks"
    found = data(two)
    assert found == data(one)
    assert {"seed-0/audited/rows.jsonl", "seed-0/audited/tables.jsonl", "seed-0/audited/grids.jsonl",
            "seed-0/audited/decisions.jsonl", "texts.jsonl"} <= set(found)  # fmt: skip
    assert len(found["seed-0/audited/rows.jsonl"].splitlines()) == 7 * 3 * 2
    assert (two / "report.html").read_text("utf-8")
    assert not [*two.rglob("*.part"), *two.rglob("*-parts*")]


def rows_with_replay() -> list[dict]:
    """Seven texts of four rows and two instructions of one: batches of unequal parts, and a last one of one text."""
    texts = (*tiny.TEXTS, "so sad, so sad :(", "I love @you", "cold day, great food", "a day so late and cold")
    prediction = Prediction("positive", "positive", {"negative": -2.0, "positive": -0.1}, 1.9, "negative")
    items = [Item(example, prediction) for example in tiny.examples(texts)]
    picks = targets.random_targets(items, tiny.PINNED, seed=0)
    made = rows.text_rows(tiny.TASK, items, picks, STYLES, labels=["positive"] * len(items))
    chat = [{"role": "user", "content": "Copy the food"}, {"role": "assistant", "content": "The food was great"}]
    mixed = mix(made, [chat] * 9, 0.3, seed=0)
    assert len({row["id"] for row in mixed}) == 10
    return mixed


def train_in(
    count: int, folder: Path, rank: int, *, to: str, kill_at: int = 0, batch: int = 3, before: str = USUAL
) -> list[tuple[int, str, str]]:
    """Train in ``count`` processes, all but the first of which may kill themselves after a step."""
    words = (folder / "model", folder / "rows.json", folder / to, rank, kill_at, batch)
    return ended(launch(count, "-c", before + TRAIN, *map(str, words)))


def assert_same(one: Path, more: Path, *, steps: int = 8) -> None:
    """Two trainings are the same: losses, weights, and nothing but what ships."""
    before, after = (
        [entry["loss"] for entry in json.loads((path / "losses.json").read_text())] for path in (one, more)
    )
    assert len(before) == steps
    assert after == pytest.approx(before, abs=1e-5)
    assert before[-1] < before[0]
    weights, others = (
        {key: value for file in path.glob("*.safetensors") for key, value in load_file(file).items()}
        for path in (one, more)
    )
    assert weights
    assert weights.keys() == others.keys()
    assert max((weights[key] - others[key]).abs().max().item() for key in weights) < 1e-5
    assert sorted(file.name for file in one.iterdir()) == sorted(file.name for file in more.iterdir())


@pytest.fixture
def lesson(tmp_path):
    tiny.save(tmp_path / "model")
    (tmp_path / "rows.json").write_text(json.dumps(rows_with_replay()))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(("rank", "count"), [(4, 2), (0, 2), (4, 3)])
def test_several_processes_train_as_one(lesson, rank, count):
    for number in (1, count):
        done = train_in(number, lesson, rank, to=str(number), before=TELLS_CONNECTIONS + USUAL)
        assert [code for code, *_ in done] == [0] * number, done
        # Threads of open ones may abort a process whose work is done.
        assert [stdout for _, stdout, _ in done] == ["closed\n"] * number
    assert_same(lesson / "1", lesson / str(count))


@pytest.mark.slow
def test_a_process_with_less_memory_than_the_other_takes_smaller_parts(lesson):
    for number, before in ((1, USUAL), (2, SHORT_OF_MEMORY)):
        done = train_in(number, lesson, 4, to=str(number), batch=4, before=before)
        assert [code for code, *_ in done] == [0] * number, done
    assert_same(lesson / "1", lesson / "2", steps=6)


@pytest.mark.slow
def test_a_process_that_dies_in_training_is_said_and_the_training_goes_on(lesson):
    (code, _, said), (killed, _, _) = train_in(2, lesson, 4, to="2", kill_at=3)
    assert killed == -signal.SIGKILL
    assert code
    assert "another process of this launch has ended during training" in said.strip().splitlines()[-1]
    assert (lesson / "2" / "checkpoints" / "checkpoint-2" / "trainer_state.json").is_file()
    for number in (1, 2):
        done = train_in(number, lesson, 4, to=str(number))
        assert [code for code, *_ in done] == [0] * number, done
    assert_same(lesson / "1", lesson / "2")


@pytest.mark.slow
def test_two_processes_run_as_one_and_a_killed_one_is_said_and_mended(tmp_path):
    model = tiny.save(tmp_path / "model")
    one, two = tmp_path / "one", tmp_path / "two"
    [done] = ended(launch(1, "-m", "saywhy", "run", f"model={model}", f"out={one}", *RUN))
    assert done[0] == 0, done
    words = ["run", f"model={model}", f"out={two}", *RUN]
    (code, _, said), (killed, _, _) = ended(
        launch(2, kills.__file__, f"{two}/seed-0/adapted/.rows-parts/00001.json", "1", *words)
    )
    assert killed == -signal.SIGKILL
    assert code
    assert "process 1 of 2 has ended" in said.strip().splitlines()[-1] or "has ended during training" in said
    done = ended(launch(2, "-m", "saywhy", *words))
    assert [code for code, *_ in done] == [0, 0], done
    assert told(two) == told(one)
    exact = [name for name in data(one) if name.startswith("seed-0/base/")]
    assert exact
    assert all(data(one)[name] == data(two)[name] for name in exact)


@pytest.mark.slow
def test_two_processes_do_a_study_as_one(tmp_path):
    folder = tmp_path / "data" / "sentiment140"
    for split in ("train", "test"):  # unlabelled: the lexicon's labels are shared work, too
        write_lines(folder / f"{split}.jsonl", ({"text": one["text"]} for one in pocket.rows("sentiment140", split)))
    plan = {
        "name": "tiny",
        "model": str(tiny.save(tmp_path / "model")),
        "data": str(tmp_path / "data"),
        "tasks": ["sentiment140"],
        "instruction_rows": 3,
        "with": {"rows": 3, "adapt_rows": 3, "train_rows": 3, "decide_rows": 6, "calibration_rows": 6,
                 "most_words": 9, "chunk": 2, "adapt_labels": "formats"},
        "blocks": [{"name": "main", "arms": ["base", "adapted", "faithful", "random"]}],
        "confirmatory": [{"block": "main", "arm": "faithful", "against": "random"}],
    }  # fmt: skip
    (tmp_path / "tiny.yaml").write_text(json.dumps(plan), "utf-8")
    one, two = tmp_path / "one", tmp_path / "two"
    for count, out in ((1, one), (2, two)):
        done = ended(launch(count, "-m", "saywhy", "study", str(tmp_path / "tiny.yaml"), f"out={out}"))
        assert [code for code, *_ in done] == [0] * count, done
    task = Path("tasks", "sentiment140")
    found = told(two / task)
    assert found
    assert found == told(one / task)
    for name in ("frozen.json", "models/seed-0/base/retention.json", task / "seed-0" / "base" / "constants.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    kept = [json.loads((out / "models/seed-0/base/retention.json").read_text("utf-8")) for out in (one, two)]
    assert kept[0]["replay"]["n"] == 3
    assert len(kept[0]["plain"]["reasons"]) == 24
    assert not list(two.rglob("*-parts*"))


def told(out: Path) -> list[tuple]:
    """Everything that the last digits of trained weights must not change: texts, words, labels, verdicts."""
    found = []
    for file in sorted(out.glob("seed-0/*/rows.jsonl")):
        for row in map(json.loads, file.read_text("utf-8").splitlines()):
            found.append(tuple(str(row[k]) for k in ("arm", "id", "style", "readout", "prediction", "words", "edited",
                                                     "recheck", "hit", "ceiling")))  # fmt: skip
    for file in sorted(out.glob("seed-0/*/decisions.jsonl")):
        rows = map(json.loads, file.read_text("utf-8").splitlines())
        found += [(row["arm"], row["id"], row["label"]) for row in rows]
    return found
