"""What can go wrong around a run: one line, exit code 2, and what was computed is used by the next try."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import SafetensorError

import tiny
from problems import fill_disk
from saywhy.cli.app import main
from saywhy.folders.store import readable_save_errors, write_json
from saywhy.models import shipped, spec, weights
from saywhy.records import SaywhyError

FEW = ["rows=4", "adapt_rows=4", "train_rows=4", "decide_rows=6", "calibration_rows=8", "chunk=2", "pinned_words=2"]


def call(capsys, monkeypatch, *words: str) -> tuple[int, str]:
    """Run the command line in this process; return the exit code and the last line that it said on stderr."""
    monkeypatch.setattr(sys, "argv", ["saywhy", *words])
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main()
    lines = capsys.readouterr().err.strip().splitlines()
    assert sum(line.startswith("saywhy: ") for line in lines) <= 1
    assert not any(line.startswith("Traceback") for line in lines)
    return stop.value.code or 0, lines[-1] if lines else ""


# The hub, and what is not there


def test_data_that_the_hub_does_not_give_is_one_line(capsys, monkeypatch, tmp_path):
    model = tiny.save(tmp_path / "model")
    code, line = call(capsys, monkeypatch, "run", f"model={model}", "task=snli", "data=hub", f"out={tmp_path / 'run'}")
    assert code == 2
    assert line.startswith("saywhy: hub data 'stanfordnlp/snli' 'test': ")
    assert line.endswith("pass data=FOLDER_OR_FILE instead")
    assert not (tmp_path / "run").exists()


def test_a_model_that_the_hub_does_not_give_is_one_line(capsys, monkeypatch, tmp_path):
    code, line = call(capsys, monkeypatch, "audit", "model=nobody/no-such-model", *FEW, f"out={tmp_path / 'run'}")
    assert code == 2
    assert line.startswith("saywhy: model 'nobody/no-such-model' cannot be loaded from nobody/no-such-model: ")
    assert line.endswith("check the path, or your connection")


def test_a_library_that_does_not_fit_is_said_as_what_it_is(tmp_path):
    """transformers imports torchvision, if there is any, and one made for another torch cannot be imported."""
    model, broken = tiny.save(tmp_path / "model"), tmp_path / "packages"
    (broken / "torchvision-0.29.0.dist-info").mkdir(parents=True)
    (broken / "torchvision-0.29.0.dist-info" / "METADATA").write_text("Name: torchvision\nVersion: 0.29.0\n")
    (broken / "torchvision").mkdir()
    message = "operator torchvision::nms does not exist"
    (broken / "torchvision" / "__init__.py").write_text(f"raise RuntimeError({message!r})\n")
    command = [sys.executable, "-m", "saywhy", "audit", f"model={model}", *FEW, f"out={tmp_path / 'run'}"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(broken), *sys.path])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1] == (
        f"saywhy: model '{model}' cannot be loaded by the libraries that are installed: {message}; install what is "
        "missing, and versions that fit each other"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("data=MISSING",), "no such file or folder; pass a file, or a folder with one file a split"),
        (("data=EMPTY",), "no test.jsonl, test.csv, test.tsv or test.parquet; there: none"),
        (("replay=MISSING",), "no such file or folder"),
    ],
)
def test_missing_data_is_said_before_anything_is_computed(words, told, capsys, monkeypatch, tmp_path):
    model = tiny.save(tmp_path / "model")
    (tmp_path / "empty").mkdir()
    given = [one.replace("MISSING", str(tmp_path / "none")).replace("EMPTY", str(tmp_path / "empty")) for one in words]
    code, line = call(capsys, monkeypatch, "run", f"model={model}", *given, *FEW, f"out={tmp_path / 'run'}")
    assert code == 2
    assert told in line
    assert not (tmp_path / "run").exists()


def test_an_adapter_of_another_base_is_refused(capsys, monkeypatch, tmp_path):
    model, adapter = tiny.save(tmp_path / "model"), tmp_path / "adapter"
    write_json(adapter / "adapter_config.json", {"base_model_name_or_path": str(model)})
    write_json(adapter / shipped.ADAPTER_MANIFEST, {"base": {"fingerprint": "sha256:0123456789abcdef"}})
    code, line = call(capsys, monkeypatch, "audit", f"model={adapter}", *FEW, f"out={tmp_path / 'run'}")
    assert code == 2
    assert "was trained on another base (sha256:0123456789abcdef)" in line
    assert line.endswith("use the base that it names")
    with pytest.raises(SaywhyError, match="another base"):
        weights.load_base(spec.resolve_model(str(adapter)))  # what training goes on from


# A disk that is full


def files(out: Path) -> dict[str, list[dict]]:
    """Return what must not depend on a full disk."""
    return {
        str(file.relative_to(out)): [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        for file in sorted(out.rglob("*.jsonl"))
    }


@pytest.mark.parametrize("fails_at", [0, 3, 7])
def test_a_full_disk_is_one_line_and_the_next_try_goes_on(capsys, monkeypatch, tmp_path, fails_at):
    model, full, straight = tiny.save(tmp_path / "model"), tmp_path / "full", tmp_path / "straight"
    words = ["audit", f"model={model}", *FEW, "readouts=constrained", "token_budget=2048"]
    assert call(capsys, monkeypatch, *words, f"out={straight}")[0] == 0
    free = fill_disk(monkeypatch, fails_at)
    code, line = call(capsys, monkeypatch, *words, f"out={full}")
    assert code == 2
    assert line.startswith(f"saywhy: No space left on device ({full}")
    assert line.endswith("what was computed is kept; mend it and run again")
    assert not list(full.rglob("*.part"))
    kept = {file: file.stat().st_mtime_ns for file in full.glob("seed-0/**/*.json")}
    free()
    assert call(capsys, monkeypatch, *words, f"out={full}")[0] == 0
    assert files(full) == files(straight)
    assert all(file.stat().st_mtime_ns == when for file, when in kept.items() if file.exists())


def test_what_torch_and_safetensors_say_of_a_full_disk_is_one_line(tmp_path):
    full = "I/O error: No space left on device (os error 28)"
    for error in (SafetensorError(full), RuntimeError(f"{full}\nenforce fail"), Exception(full)):
        with pytest.raises(SaywhyError) as told, readable_save_errors(tmp_path):
            raise error
        assert str(told.value).startswith(f"{tmp_path} cannot be written ({full}): what was computed is kept; free ")
    with pytest.raises(OSError, match="gone"), readable_save_errors(tmp_path):
        raise OSError("gone")


GROWING = """
set -e
mount -t tmpfs -o size=4k none "$1"
for size in 16k 64k 128k 256k 512k 768k 1m 1536k 2m 3m 64m; do
  mount -o remount,size=$size none "$1"
  code=0
  "$2" -m saywhy run out="$1/run" "${@:4}" 2> "$3/$size.txt" > "$3/said" || code=$?
  echo "$size $code"
  if [ $code = 0 ]; then break; fi
done
cp -r "$1/run" "$3/run"
"""


@pytest.mark.slow
def test_a_disk_that_is_full_at_any_point_loses_nothing(tmp_path):
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    model, disk, kept = tiny.save(tmp_path / "model"), tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    kept.mkdir()
    words = [f"model={model}", *FEW, "batch=1", "arms=base,faithful", "token_budget=2048"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", GROWING, "bash", str(disk), sys.executable, str(kept), *words],
        capture_output=True,
        text=True,
        env=environment,
    )
    codes = [int(line.split()[1]) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert set(codes[:-1]) == {2}, done.stdout
    assert codes[-1] == 0
    assert len(codes) > 4
    said = [file.read_text("utf-8").strip().splitlines()[-1] for file in kept.glob("*.txt")]
    failed = [line for line in said if line.startswith("saywhy: ")]
    assert len(failed) == len(codes) - 1
    assert all("what was computed is kept" in line for line in failed), failed
    assert not any("Traceback" in file.read_text("utf-8") for file in kept.glob("*.txt"))
    straight = subprocess.run(
        [sys.executable, "-m", "saywhy", "run", f"out={tmp_path / 'straight'}", *words], env=environment
    )
    assert straight.returncode == 0
    assert {name: len(rows) for name, rows in files(kept / "run").items()} == {
        name: len(rows) for name, rows in files(tmp_path / "straight").items()
    }


# Two at once


MATERIALISE = """
import sys, time
from pathlib import Path
from saywhy.models import spec

def packaged():
    time.sleep(0.5)  # so that both are at it
    return Path(sys.argv[1]) / "model.safetensors"

def load(of, dtype=None):
    made.append(of)
    return real(spec.ModelSpec("tiny", sys.argv[1], "tiny"))

made, real = [], spec.read_weights
spec._packaged, spec.read_weights = packaged, load
spec._SHA256 = __import__("hashlib").sha256(packaged().read_bytes()).hexdigest()
folder = spec._dequantised_folder()
assert (folder / "model.safetensors").is_file() and (folder / "tokenizer.json").is_file()
print(len(made))
"""


@pytest.mark.slow
def test_two_processes_prepare_the_built_in_model_once(tmp_path):
    model, cache = tiny.save(tmp_path / "model"), tmp_path / "cache"
    digest = hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()[:12]
    killed = cache / f"{spec.DEFAULT_MODEL}-{digest}.elsewhere-1.part"
    killed.mkdir(parents=True)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MATERIALISE, str(model)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "SAYWHY_CACHE": str(cache), "OMP_NUM_THREADS": "1"},
        )
        for _ in range(2)
    ]
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert sorted(text.strip() for text, _ in said) == ["0", "1"], "one makes it, the other takes it"
    assert [one.name for one in cache.iterdir()] == [f"{spec.DEFAULT_MODEL}-{digest}"], (
        "what a killed one left is cleared"
    )


def test_a_full_disk_leaves_no_half_of_the_built_in_model(tmp_path, monkeypatch):
    model = tiny.save(tmp_path / "model")
    weights = model / "model.safetensors"
    real = spec.read_weights

    def load(of, dtype=None):
        found, words = real(spec.ModelSpec("tiny", str(model), "tiny"))

        def save_pretrained(folder):
            folder.mkdir(parents=True)
            (folder / "model.safetensors").write_bytes(b"half")
            raise SafetensorError("I/O error: No space left on device (os error 28)")

        found.save_pretrained = save_pretrained
        return found, words

    monkeypatch.setattr(spec, "read_weights", load)
    monkeypatch.setattr(spec, "_packaged", lambda: weights)
    monkeypatch.setattr(spec, "_SHA256", hashlib.sha256(weights.read_bytes()).hexdigest())
    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path / "cache"))
    with pytest.raises(SaywhyError, match="No space left on device"):
        spec._dequantised_folder()
    assert list((tmp_path / "cache").iterdir()) == []
