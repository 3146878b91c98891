"""What the tests share. Everything is made in temporary folders; nothing is downloaded."""

import os
from typing import NamedTuple

import pytest

os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false")


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
    from saywhy.cli import main

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
