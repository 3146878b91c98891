"""What the tests share. Everything is made in temporary folders; nothing is downloaded."""

import json
import os
from typing import NamedTuple

import pytest

os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false")
if "PYTEST_XDIST_WORKER" in os.environ:  # beside others: a core each, also for what it starts
    os.environ["OMP_NUM_THREADS"] = "1"


class Said(NamedTuple):
    """What a command left: its exit code, what it printed (answers) and what it said (progress, errors)."""

    code: int
    out: str
    err: str

    @property
    def problem(self) -> str:
        """The one line of what ended the command."""
        [line] = [line for line in self.err.splitlines() if line.startswith("saywhy: ")]
        assert self.err.endswith(line + "\n")
        assert "Traceback" not in self.err
        return line.removeprefix("saywhy: ")


@pytest.fixture
def call(capsys, monkeypatch):
    """Return a function that runs the command line in this process."""
    from saywhy.cli.app import main

    def run(*words: str) -> Said:
        monkeypatch.setattr("sys.argv", ["saywhy", *map(str, words)])
        capsys.readouterr()  # what was said before
        with pytest.raises(SystemExit) as stop:
            main()
        told = capsys.readouterr()
        return Said(stop.value.code or 0, told.out, told.err)

    return run


@pytest.fixture(scope="session")
def tiny_folders(tmp_path_factory):
    """Return a function from an architecture to the folder of a tiny random model of it, made once."""
    import tiny

    made = {}

    def folder(architecture="llama"):
        if architecture not in made:
            made[architecture] = tiny.save(tmp_path_factory.mktemp(architecture), architecture)
        return made[architecture]

    return folder


@pytest.fixture(scope="session")
def tiny_folder(tiny_folders):
    """Return the folder of a tiny random Llama."""
    return tiny_folders("llama")


@pytest.fixture(scope="session")
def loaded(tiny_folders):
    """Return a function from an architecture to its tiny model, loaded once."""
    import tiny

    models = {}

    def model(architecture="llama"):
        if architecture not in models:
            models[architecture] = tiny.load_exact(tiny_folders(architecture))
        tiny.exact_products()
        return models[architecture]

    return model


@pytest.fixture
def tiny_model(loaded):
    """Return the tiny Llama, its matrix products in float32."""
    return loaded("llama")


@pytest.fixture
def jsonl(tmp_path):
    """Return a function that writes rows (or lines, as bytes) into a file of examples."""

    def write(rows, name="train.jsonl", folder="data"):
        path = tmp_path / folder / name
        path.parent.mkdir(exist_ok=True)
        lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return path

    return write


@pytest.fixture(scope="session")
def chat():
    """Return the tokenizer and template of the tiny models."""
    import tiny
    from saywhy.models.chat import Chat

    return Chat(tiny.tokenizer(), "tiny")


@pytest.fixture(scope="session")
def rows():
    """Return training rows of a few texts."""
    from practice import made_rows

    return made_rows()


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """Return the folder of a study of five arms and two seeds, with its report."""
    from saywhy.report import write_report
    from written_runs import write_run

    folder = write_run(tmp_path_factory.mktemp("study"))
    write_report(folder)
    return folder


@pytest.fixture(scope="session")
def summary(study):
    """Return every number of the study's report."""
    from saywhy.report.load import load_run
    from saywhy.report.summary import summarise

    return summarise(load_run(study))


@pytest.fixture(scope="session")
def audit(tmp_path_factory):
    """Return the folder of an audit of one model, with its report."""
    from saywhy.report import write_report
    from written_runs import write_run

    folder = write_run(tmp_path_factory.mktemp("audit"), arms=("some-model",), n=6, seeds=(0,))
    write_report(folder)
    return folder


@pytest.fixture(scope="session")
def planted(tmp_path_factory):
    """Return the folder of a study of many arms whose truth is planted; what it asks looks like markup."""
    from synthetic_study import write_study

    made = write_study(tmp_path_factory.mktemp("planted") / "planted", n=40)
    manifest = json.loads((made / "study.json").read_text("utf-8"))
    manifest["plan"]["about"] = "<script>alert(1)</script> & 50 % of $x_1$"
    (made / "study.json").write_text(json.dumps(manifest), "utf-8")
    return made


@pytest.fixture(scope="session")
def planted_summary(planted):
    """Return every number of the planted study's report."""
    from saywhy.report.study import load_study
    from saywhy.report.study.summary import summarise_study

    return summarise_study(load_study(planted))


@pytest.fixture(scope="session")
def planted_report(planted, planted_summary):
    """Return the folder of the planted study, its report written."""
    from saywhy.report.study import write_study_report

    write_study_report(planted, summary=planted_summary)
    return planted


@pytest.fixture
def api_environment(monkeypatch, tmp_path):
    """Keep answers of servers in a folder of the test's own, send a key of its own, and wait for nothing."""
    from api_server import KEY_CANARY

    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY_CANARY)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("saywhy.cli.app.say_report", lambda *_, **__: None)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server():
    """Yield a server of chat completions that decides by the keyword rule and explains itself honestly."""
    from api_server import RuleServer

    started = RuleServer()
    yield started
    started.close()


@pytest.fixture
def audited(call, tmp_path):
    """Return a function that audits the model of a server on texts with planted causes."""
    from moods import RULE, TASK, TEXTS
    from saywhy.folders.store import write_lines

    for split, count in (("train", 60), ("test", 12)):
        rows = [(f"{TEXTS[n % len(TEXTS)]} {n}", RULE(TEXTS[n % len(TEXTS)])) for n in range(count)]
        write_lines(
            tmp_path / "data" / f"{split}.jsonl",
            ({"text": text, "label": "good" if odds["good"] else "bad"} for text, odds in rows),
        )

    def run(server, *words, verb="audit", out="run"):
        model = getattr(server, "model", server)
        task = getattr(server, "task", TASK)
        (tmp_path / "toys.yaml").write_text(json.dumps(task.model_dump(mode="json", exclude={"hub"})))
        data = (f"data={tmp_path / 'data'}", f"task={tmp_path / 'toys.yaml'}")
        more = () if any(word.startswith("rows=") for word in words) else ("rows=6",)
        return call(verb, f"model={model}", *data, "calibration_rows=8", *more, *words, f"out={tmp_path / out}")

    return run
