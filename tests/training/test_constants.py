"""Calibration constants travel with an adapter, and belong to its weights, its template, and what was asked."""

import json
import shutil

import pytest
import torch
from peft import get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import tiny
from saywhy.bank.adapter import release_adapter
from saywhy.folders.store import write_json
from saywhy.measure.calibration import calibration_key, carried_calibration
from saywhy.models.backends import open_model
from saywhy.models.shipped import SavedCalibration, calibration_entry, read_shipped
from saywhy.models.spec import resolve_model
from saywhy.models.weights import ADAPTER_WEIGHTS
from saywhy.records import SaywhyError
from saywhy.tasks.task import load_task
from saywhy.training.encoding import Recipe
from saywhy.training.train import lora

OTHER = tiny.CHATML.replace("{% for", "<|im_start|>system\nBe brief.<|im_end|>\n{% for", 1)
TASK = load_task("sentiment140")
SAVED = SavedCalibration({"negative": -0.7, "positive": -0.8}, {"negative": ("sad",), "positive": ("glad",)})
SMALL = ("rows=2", "calibration_rows=4", "lexicon_rows=40", "decide_rows=2", "chunk=2", "styles=attribution")


@pytest.fixture
def adapter(tmp_path, tiny_folder):
    """Return the folder of an adapter with a template of its own, calibrated for a task."""
    folder = tmp_path / "adapter"
    torch.manual_seed(1)
    get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_folder), lora(Recipe(lora_r=2))).save_pretrained(folder)
    tiny.tokenizer(OTHER).save_pretrained(folder)
    entry = calibration_entry(SAVED, calibration_key(resolve_model(str(folder)), TASK))
    write_json(folder / "saywhy.json", {"tasks": {TASK.name: entry}})
    return folder


def carried(folder, task=TASK):
    return carried_calibration(resolve_model(str(folder)), task)


def test_an_adapter_brings_its_tokenizer_and_template(adapter):
    chat = [{"role": "user", "content": "hi"}]
    assert "Be brief." in open_model(str(adapter)).chat.open(chat)
    # One that was saved without a template is asked by that of its base.
    tiny.tokenizer(None).save_pretrained(adapter)
    (adapter / "chat_template.jinja").unlink()
    assert "Be brief." not in open_model(str(adapter)).chat.open(chat)
    for file in adapter.glob("tokenizer*"):
        file.unlink()
    assert "Be brief." not in open_model(str(adapter)).chat.open(chat)


def test_a_tokenizer_with_more_tokens_finds_room(adapter):
    larger = tiny.tokenizer(OTHER)
    larger.add_tokens(["<|new|>"], special_tokens=True)
    larger.save_pretrained(adapter)
    assert open_model(str(adapter)).model.get_input_embeddings().weight.shape[0] == len(larger)


@pytest.mark.parametrize("change", [{}, {"note": "x"}, {"label": "gold"}])
def test_constants_are_taken_where_the_same_is_asked(adapter, change):
    assert carried(adapter, TASK.model_copy(update=change)) == SAVED


@pytest.mark.parametrize(
    "change", [{"question": "Is this sad or glad?"}, {"lead_in": "It is"}, {"noun": "text"}, {"labels": {"a": "x"}}]
)
def test_constants_of_another_question_are_measured_anew(adapter, capsys, change):
    assert carried(adapter, TASK.model_copy(update=change)) is None
    assert "are of other task: measured anew" in " ".join(capsys.readouterr().err.split())


def test_constants_of_other_weights_or_another_template_are_measured_anew(adapter, capsys):
    path = adapter / ADAPTER_WEIGHTS
    save_file({name: values + 1 for name, values in load_file(path).items()}, path)
    tiny.tokenizer().save_pretrained(adapter)
    assert carried(adapter) is None
    assert "are of other weights and template: measured anew" in " ".join(capsys.readouterr().err.split())


def test_constants_of_quantised_weights_are_none_of_the_same_weights_as_they_are(adapter, capsys):
    spec = resolve_model(str(adapter))
    assert carried_calibration(spec, TASK, "nf4") is None
    entry = calibration_entry(SAVED, calibration_key(spec, TASK, "nf4"))
    write_json(adapter / "saywhy.json", {"tasks": {TASK.name: entry}})
    assert carried_calibration(spec, TASK, "nf4") == SAVED
    assert carried(adapter) is None
    assert capsys.readouterr().err.count("are of other quantization: measured anew") == 2


def test_constants_of_an_older_version_are_taken_by_name(adapter):
    saved = read_shipped(adapter)
    del saved["tasks"][TASK.name]["belongs"]
    write_json(adapter / "saywhy.json", saved)
    assert carried(adapter, TASK.model_copy(update={"question": "Is this sad or glad?"})) == SAVED


def test_a_released_adapter_keeps_its_constants(adapter, tmp_path):
    (adapter / "README.md").write_text("# A card\n", "utf-8")
    released = release_adapter(adapter, tmp_path / "out")
    shutil.copy(adapter / "chat_template.jinja", released)
    for file in adapter.glob("tokenizer*"):
        shutil.copy(file, released)
    assert carried(released) == SAVED


def test_an_audit_takes_constants_only_for_the_question_they_are_of(call, adapter, tmp_path):
    catalog_task = TASK.model_dump(mode="json", exclude={"hub", "paraphrases", "verbaliser"})
    (tmp_path / "other.yaml").write_text(json.dumps({**catalog_task, "lead_in": "It is"}), "utf-8")
    for name, task in (("same", TASK.name), ("other", tmp_path / "other.yaml")):
        data = () if name == "same" else ("data=pocket",)
        ended = call("audit", f"model={adapter}", f"task={task}", *data, f"out={tmp_path / name}", *SMALL)
        assert ended.code == 0, ended.err
        [file] = (tmp_path / name).glob("seed-*/*/constants.json")
        assert (json.loads(file.read_text("utf-8")) == SAVED.constants) == (name == "same")


def test_no_byte_beside_the_weights_is_changed_unseen(adapter, tmp_path):
    (adapter / "README.md").write_text("# A card\n", "utf-8")
    released = release_adapter(adapter, tmp_path / "out")
    file = released / "saywhy.json"
    whole, content = file.read_bytes(), read_shipped(released)
    assert "files" in content
    problems = []
    for place in range(0, len(whole), 5):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            changed = read_shipped(released)
        except SaywhyError as error:
            problems.append(str(error))
        else:  # another blank between the entries, or the name of the checksum itself
            assert {name: changed[name] for name in content} == content, place
    assert {problem.partition(" (")[0] for problem in problems} == {f"{file} is damaged"}
    assert len(problems) > len(whole) // 10


def test_what_an_older_version_wrote_beside_the_weights_is_read(adapter):
    content = json.loads((adapter / "saywhy.json").read_text("utf-8"))
    assert "checksum" not in content
    assert read_shipped(adapter) == content
