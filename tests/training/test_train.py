"""Training: a tree's loss is its rows' loss, what ships, and a kill loses nothing."""

import dataclasses
import json

import pytest
import torch
from datasets import Dataset, load_dataset
from peft import AutoPeftModelForCausalLM, LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

import tiny
from practice import RECIPE, made_rows
from saywhy.models.backends import open_model
from saywhy.models.chat import Chat
from saywhy.models.forward import FORWARD_WAYS, Forward
from saywhy.models.interface import Choice
from saywhy.models.spec import resolve_model
from saywhy.models.weights import load_base, with_adapter
from saywhy.protocol.prompts import question_chat
from saywhy.records import SaywhyError
from saywhy.setting_names import own_trainer_argument
from saywhy.training.arguments import refuse_trainer, sft_arguments
from saywhy.training.encoding import Recipe, encode, samples
from saywhy.training.objectives import objective_of
from saywhy.training.train import train


def trainable(folder, *, lora):
    model = AutoModelForCausalLM.from_pretrained(folder)
    tiny.exact_products()
    if not lora:
        return model
    torch.manual_seed(1)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    return get_peft_model(model, config)


def in_trees(model, texts, way):
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    return objective_of(RECIPE)(Forward(base, "tiny", (way,)), texts)


def row_by_row(model, texts):
    """Return the mean over rows of the weighted loss, each row alone."""
    losses = []
    for row in (row for rows in texts for row in rows):
        logits = model(input_ids=torch.tensor([row["ids"]]), use_cache=False).logits[0, row["start"] - 1 : -1]
        likely = torch.log_softmax(logits, -1)
        said = torch.tensor(row["ids"][row["start"] :])
        losses.append(-(likely.gather(1, said[:, None])[:, 0] * torch.tensor(row["weights"])).sum())
    return torch.stack(losses).mean()


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("way", FORWARD_WAYS)
def test_the_loss_of_a_tree_is_that_of_its_rows_and_so_are_its_gradients(tiny_folder, chat, rows, lora, way):
    texts = samples(chat, rows, RECIPE, 512)
    found = []
    for loss_of in (lambda model: in_trees(model, texts, way), lambda model: row_by_row(model, texts)):
        model = trainable(tiny_folder, lora=lora)
        loss = loss_of(model)
        loss.backward()
        slopes = {name: w.grad for name, w in model.named_parameters() if w.requires_grad}
        assert slopes
        found.append((loss.item(), slopes))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-5)
    for name, slope in found[1][1].items():
        assert torch.allclose(found[0][1][name], slope, atol=1e-5), name


def test_trl_takes_the_rows_as_they_are(tiny_folder, tmp_path, rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    tokenizer = tiny.tokenizer()
    sft = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_folder),
        args=SFTConfig(
            output_dir=str(tmp_path / "out"),
            max_steps=1,
            per_device_train_batch_size=2,
            report_to="none",
            use_cpu=True,
            bf16=False,
            disable_tqdm=True,
            save_strategy="no",
        ),
        train_dataset=load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path / "hf")),
        processing_class=tokenizer,
    )
    chat = Chat(tokenizer, "tiny")
    for row, theirs in zip(rows, sft.train_dataset, strict=True):
        ours = encode(chat, row, RECIPE)
        assert theirs["input_ids"][: len(ours["ids"])] == ours["ids"]
        assert [label != -100 for label in theirs["labels"]].index(True) == ours["start"]
        assert -100 not in theirs["labels"][ours["start"] :]
        assert chat.tokenizer.decode(theirs["input_ids"][len(ours["ids"]) :]).strip() == ""
    assert sft.train().training_loss > 0


@pytest.fixture(scope="module")
def adapter(tiny_folder, rows, tmp_path_factory):
    """Return the folder of an undisturbed training."""
    return train(resolve_model(str(tiny_folder)), rows, RECIPE, tmp_path_factory.mktemp("adapter"))


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "adapter_model.safetensors")


def test_what_ships_is_a_standard_adapter_of_its_base(adapter, tiny_folder, loaded):
    config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    assert config["base_model_name_or_path"] == str(tiny_folder)
    peft = AutoPeftModelForCausalLM.from_pretrained(adapter)
    ours = open_model(str(adapter)).model
    tiny.exact_products()
    ids = torch.arange(5, 25)[None]
    with torch.inference_mode():
        theirs, mine, before = (model(input_ids=ids).logits for model in (peft, ours, loaded("llama").model))
    assert torch.allclose(theirs, mine, atol=1e-4)
    assert not torch.allclose(before, mine, atol=1e-2)


def test_the_adapter_answers_by_its_folder_and_has_learned_what_it_was_told(adapter, loaded):
    trained = open_model(str(adapter))
    tiny.exact_products()
    asked = [Choice(question_chat(tiny.TASK, text, {}), ("positive",), tiny.TASK.lead_in) for text in tiny.TEXTS]
    before, after = (model.choose(asked) for model in (loaded("llama"), trained))
    assert sum(score for [score] in after) > sum(score for [score] in before) + 1


def test_the_losses_fall_and_are_kept(adapter):
    losses = [entry["loss"] for entry in json.loads((adapter / "losses.json").read_text("utf-8"))]
    assert losses[-1] < losses[0]


def test_the_same_training_twice_is_the_same(adapter, tiny_folder, rows, tmp_path):
    again = weights(train(resolve_model(str(tiny_folder)), rows, RECIPE, tmp_path))
    assert all(torch.equal(weight, again[name]) for name, weight in weights(adapter).items())


def test_a_checkpoint_that_was_killed_half_way_is_passed_over(tiny_folder, rows, tmp_path, adapter):
    def kill(done, of):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(resolve_model(str(tiny_folder)), rows, RECIPE, tmp_path, kill)
    (tmp_path / "checkpoints" / "checkpoint-4").mkdir()
    resumed = weights(train(resolve_model(str(tiny_folder)), rows, RECIPE, tmp_path))
    assert all(torch.allclose(weight, resumed[name], atol=1e-7) for name, weight in weights(adapter).items())


def on_a_small_machine(most):
    """Return an objective of which every step of more than ``most`` tokens runs out of memory, in its backward pass."""

    def objective(forward, texts, rows=None):
        loss = objective_of(RECIPE)(forward, texts, rows)
        if sum(len(row["ids"]) for text in texts for row in text) > most:
            loss.register_hook(refuse)
        return loss

    def refuse(slope):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    return objective


def test_a_training_that_runs_out_of_memory_goes_on_in_parts_to_the_same_weights(
    adapter, tiny_folder, rows, tmp_path, capsys
):
    texts = samples(Chat(tiny.tokenizer(), "tiny"), rows, RECIPE, 512)
    sizes = [sum(len(row["ids"]) for row in text) for text in texts]
    objective = on_a_small_machine(max(sizes))
    found = weights(train(resolve_model(str(tiny_folder)), rows, RECIPE, tmp_path, objective=objective))
    assert all(torch.allclose(weight, found[name], atol=1e-5) for name, weight in weights(adapter).items())
    assert capsys.readouterr().err.count("out of memory: going on with 1 texts at once") == 1
    losses = [json.loads((folder / "losses.json").read_text("utf-8")) for folder in (adapter, tmp_path)]
    for one, other in zip(*losses, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-5)


def test_one_text_that_does_not_fit_is_one_line(tiny_folder, rows, tmp_path):
    objective = on_a_small_machine(0)
    with pytest.raises(SaywhyError, match="the memory does not hold the training rows of one text"):
        train(resolve_model(str(tiny_folder)), rows, RECIPE, tmp_path, objective=objective)


def test_what_trainer_holds_reaches_the_trainer(tiny_folder, rows, tmp_path):
    folder = train(
        resolve_model(str(tiny_folder)), rows, dataclasses.replace(RECIPE, trainer={"max_steps": 1}), tmp_path
    )
    assert [entry["step"] for entry in json.loads((folder / "losses.json").read_text("utf-8"))] == [1]
    assert json.loads((folder / "saywhy.json").read_text("utf-8"))["recipe"]["trainer"] == {"max_steps": 1}


@pytest.mark.parametrize(
    ("trainer", "reason"),
    [
        ({"weight_decai": 0.1}, r"trainer\.weight_decai: .*did you mean 'weight_decay'"),
        ({"weight_decay": "much"}, r"trainer\.weight_decay=much: it takes a number"),
        ({"lr_scheduler_type": "steep"}, "steep is not a valid SchedulerType"),
        ({"lr_scheduler_type": "cosine_with_min_lr"}, "One of min_lr or min_lr_rate should be set"),
        ({"lr_scheduler_kwargs": {"foo": 1}}, "unexpected keyword argument 'foo'"),
        ({"optim": "schedule_free_adamw"}, "You need to install `schedulefree`"),
        ({"adam_beta1": 2.0}, "Invalid beta parameter"),
        ({"save_strategy": "best"}, "which checkpoint is best, heldout_rows= measures"),
    ],
)
def test_what_the_trainer_would_not_take_is_one_line(trainer, reason):
    with pytest.raises(SaywhyError, match=reason) as refused:
        refuse_trainer(trainer)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("evaluated", [False, True])
def test_no_argument_of_the_trainer_is_taken_and_then_replaced(tmp_path, evaluated):
    reached = []
    for field in dataclasses.fields(SFTConfig):
        if type(field.default) not in (bool, int, float) or own_trainer_argument("word", field.name):
            continue
        if evaluated and field.name == "save_steps":  # refused beside heldout_rows (test_settings.py)
            continue
        value = not field.default if isinstance(field.default, bool) else field.default + 1
        try:
            arguments = sft_arguments(Recipe(trainer={field.name: value}), tmp_path, 20, evaluated=evaluated)
        except ValueError:  # it needs another argument beside it
            continue
        assert getattr(arguments, field.name) == value, field.name
        reached.append(field.name)
    assert len(reached) > 20


@pytest.mark.parametrize("killed_at", [1, 3, 5])
def test_a_killed_training_goes_on_to_the_same_weights(adapter, tiny_folder, rows, tmp_path, killed_at):
    def kill(done, of):
        if done == killed_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(resolve_model(str(tiny_folder)), rows, RECIPE, tmp_path, kill)
    assert not (tmp_path / "adapter_config.json").exists()
    steps = []
    train(resolve_model(str(tiny_folder)), rows, RECIPE, tmp_path, lambda done, of: steps.append((done, of)))
    assert steps[-1] == (6, 6)
    assert steps[0] == (killed_at, 6)
    straight, resumed = weights(adapter), weights(tmp_path)
    assert straight.keys() == resumed.keys()
    assert all(torch.allclose(weight, resumed[name], atol=1e-7) for name, weight in straight.items())


def killed_and_resumed(spec, rows, recipe, folder, *, at, damage=None):
    """Train until a step, damage what was saved, and train on."""

    def kill(done, _):
        if done == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(spec, rows, recipe, folder, kill)
    if damage:
        damage(folder / "checkpoints")
    steps = []
    train(spec, rows, recipe, folder, lambda done, _: steps.append(done))
    return steps


def test_a_killed_training_writes_the_same_bytes(tiny_folder, rows, tmp_path):
    """Also where checkpoints do not fall on logged steps."""
    spec = resolve_model(str(tiny_folder))
    recipe = dataclasses.replace(RECIPE, trainer={"logging_steps": 4, "save_steps": 2})
    train(spec, rows, recipe, tmp_path / "straight")
    killed_and_resumed(spec, rows, recipe, tmp_path / "killed", at=3)
    for name in ("losses.json", "adapter_config.json", "saywhy.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes(), name
    assert json.loads((tmp_path / "straight" / "adapter_config.json").read_bytes())["target_modules"] == sorted(
        json.loads((tmp_path / "straight" / "adapter_config.json").read_bytes())["target_modules"]
    )


def last_checkpoint(checkpoints):
    return max(checkpoints.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


CHECKPOINT_DAMAGES = {
    "no optimizer": lambda checkpoints: (last_checkpoint(checkpoints) / "optimizer.pt").unlink(),
    "no scheduler": lambda checkpoints: (last_checkpoint(checkpoints) / "scheduler.pt").unlink(),
    "a flipped bit": lambda checkpoints: flip(last_checkpoint(checkpoints) / "adapter_model.safetensors"),
    "half a state": lambda checkpoints: (last_checkpoint(checkpoints) / "trainer_state.json").write_text("{"),
    "half the checksums": lambda checkpoints: (last_checkpoint(checkpoints) / "checksums.json").write_text("{"),
}


@pytest.mark.parametrize("damage", CHECKPOINT_DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_and_the_one_before_is_taken(
    adapter, tiny_folder, rows, tmp_path, capsys, damage
):
    spec = resolve_model(str(tiny_folder))
    steps = killed_and_resumed(spec, rows, RECIPE, tmp_path, at=5, damage=CHECKPOINT_DAMAGES[damage])
    assert capsys.readouterr().err.count("the checkpoint is passed over") == 1
    assert steps[0] == 3
    straight, resumed = weights(adapter), weights(tmp_path)
    assert all(torch.allclose(weight, resumed[name], atol=1e-7) for name, weight in straight.items())


def test_an_adapter_is_continued_and_still_names_the_base(adapter, tiny_folder, rows, tmp_path):
    further = train(resolve_model(str(adapter)), rows, dataclasses.replace(RECIPE, num_train_epochs=1), tmp_path)
    config = json.loads((further / "adapter_config.json").read_text("utf-8"))
    assert config["base_model_name_or_path"] == str(tiny_folder)
    start, end = weights(adapter), weights(further)
    assert start.keys() == end.keys()
    moved = max((start[name] - end[name]).abs().max().item() for name in start)
    assert 0 < moved < 0.5


def test_full_fine_tuning_ships_a_whole_model(tiny_folder, rows, tmp_path, loaded):
    folder = train(
        resolve_model(str(tiny_folder)), rows, dataclasses.replace(RECIPE, lora_r=0, num_train_epochs=1), tmp_path
    )
    assert not (folder / "adapter_config.json").exists()
    model = open_model(str(folder))
    tiny.exact_products()
    assert model.generate([[{"role": "user", "content": "hi"}]], [3])
    name = "model.embed_tokens.weight"
    assert not torch.equal(model.model.state_dict()[name], loaded("llama").model.state_dict()[name])


def test_all_weights_go_on_from_what_an_adapter_has_learned(adapter, tiny_folder, rows, tmp_path):
    still = dataclasses.replace(RECIPE, lora_r=0, num_train_epochs=1, learning_rate=1e-12)
    folder = train(resolve_model(str(adapter)), rows, still, tmp_path)
    assert not (folder / "adapter_config.json").exists()
    asked = [Choice([{"role": "user", "content": "hi"}], ("great", "awful"))]
    start, found = (open_model(str(one)).choose(asked)[0] for one in (adapter, folder))
    tiny.exact_products()
    assert found == pytest.approx(start, abs=1e-4)
    assert found != pytest.approx(open_model(str(tiny_folder)).choose(asked)[0], abs=1e-3)


def test_without_packing_the_training_is_the_same(adapter, tiny_folder, rows, tmp_path):
    plain = weights(train(resolve_model(str(tiny_folder)), rows, dataclasses.replace(RECIPE, packing="none"), tmp_path))
    for name, weight in weights(adapter).items():
        assert torch.allclose(weight, plain[name], atol=2e-3), name


def test_the_loss_curve_is_that_of_trl(tmp_path, monkeypatch):
    """The same rows, all in each step, weighted as TRL does: every token of the batch alike."""
    plain = tiny.CHATML.replace("<|im_end|>\n", "<|im_end|>")  # TRL supervises what the template writes behind a turn
    folder = tiny.save(tmp_path / "model", template=plain)
    rows = made_rows(tiny.TEXTS)
    steps, rate = 6, 5e-3
    said = [{key: row[key] for key in ("prompt", "completion")} for row in rows]
    config = SFTConfig(
        output_dir=str(tmp_path / "trl"),
        max_steps=steps,
        per_device_train_batch_size=len(rows),
        learning_rate=rate,
        lr_scheduler_type="cosine",
        logging_steps=1,
        gradient_checkpointing=False,
        report_to="none",
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
    )
    trl = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder),
        args=config,
        train_dataset=Dataset.from_list(said),
        processing_class=AutoTokenizer.from_pretrained(folder),
    )
    trl.train()

    def by_token(*args):
        texts = samples(*args)
        flat = [row for text in texts for row in text]
        each = len(flat) / sum(len(row["weights"]) for row in flat)
        return [[{**row, "weights": [each] * len(row["weights"])} for row in text] for text in texts]

    monkeypatch.setattr("saywhy.training.train.samples", by_token)
    recipe = Recipe(learning_rate=rate, num_train_epochs=steps, per_device_train_batch_size=len(tiny.TEXTS), lora_r=0)
    train(resolve_model(str(folder)), rows, recipe, tmp_path / "ours")
    ours = [entry["loss"] for entry in json.loads((tmp_path / "ours" / "losses.json").read_text())]
    theirs = [entry["loss"] for entry in trl.state.log_history if "loss" in entry]
    assert len(ours) == steps
    assert ours == pytest.approx(theirs, abs=2e-4)
    assert ours[-1] < ours[0] - 0.3


def test_the_loss_of_held_out_texts_is_measured_and_the_best_checkpoint_ships(tiny_folder, rows, tmp_path):
    """What is practised is the contrary of what is held out: the loss rises, so the first checkpoint is the best."""
    recipe = dataclasses.replace(RECIPE, num_train_epochs=6, learning_rate=3e-2)
    heldout = [{**row, "completion": [{"role": "assistant", "content": "nothing of the kind"}]} for row in rows]
    heldout = [{**row, "decision": None} for row in heldout]
    folder = train(resolve_model(str(tiny_folder)), rows, recipe, tmp_path, heldout=heldout)
    measured = json.loads((folder / "heldout.json").read_text("utf-8"))
    losses = [entry["eval_loss"] for entry in measured]
    assert len(losses) < 10, "training went on although the loss rose"
    assert losses[-1] > min(losses)
    base, tokenizer = load_base(resolve_model(str(folder)))
    model = with_adapter(base, resolve_model(str(folder)))
    texts = samples(Chat(tokenizer, "tiny"), heldout, recipe, 512)
    assert in_trees(model, texts, "branches").item() == pytest.approx(min(losses), rel=1e-4)
    assert not (folder / "checkpoints").exists()


@pytest.mark.parametrize("killed_at", [3, "the end"])
def test_a_killed_training_with_held_out_texts_ends_where_it_would_have_ended(
    tiny_folder, rows, tmp_path, monkeypatch, killed_at
):
    recipe = dataclasses.replace(RECIPE, num_train_epochs=6, learning_rate=3e-2)
    contrary = [{"role": "assistant", "content": "nothing of the kind"}]
    heldout = [{**row, "completion": contrary, "decision": None} for row in rows]

    def kill(done, of):
        if done == killed_at:
            raise KeyboardInterrupt

    def kill_before_it_ships(*args):
        raise KeyboardInterrupt

    straight = train(resolve_model(str(tiny_folder)), rows, recipe, tmp_path / "straight", heldout=heldout)
    with monkeypatch.context() as patched:
        if killed_at == "the end":
            patched.setattr("saywhy.training.train._ship", kill_before_it_ships)
        with pytest.raises(KeyboardInterrupt):
            train(resolve_model(str(tiny_folder)), rows, recipe, tmp_path / "killed", kill, heldout=heldout)
    resumed = train(resolve_model(str(tiny_folder)), rows, recipe, tmp_path / "killed", heldout=heldout)
    for name in ("heldout.json", "losses.json"):
        assert json.loads((straight / name).read_text("utf-8")) == json.loads((resumed / name).read_text("utf-8"))
    assert len(json.loads((straight / "heldout.json").read_text("utf-8"))) < 10, (
        "training went on although the loss rose"
    )
    assert all(torch.allclose(weight, weights(resumed)[name], atol=1e-6) for name, weight in weights(straight).items())


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_the_loss_of_held_out_texts_is_the_mean_over_their_rows_in_whatever_parts(tiny_folder, rows, tmp_path, at_once):
    """Three texts of four, four and one row: a mean over texts, or over parts, would be another."""
    ids = list(dict.fromkeys(row["id"] for row in rows))[:3]
    heldout = [row for row in rows if row["id"] in ids[:2]] + [row for row in rows if row["id"] == ids[2]][:1]
    recipe = dataclasses.replace(
        RECIPE, num_train_epochs=1, learning_rate=1e-12, per_device_train_batch_size=at_once, trainer={}
    )
    folder = train(resolve_model(str(tiny_folder)), rows, recipe, tmp_path, heldout=heldout)
    measured = [entry["eval_loss"] for entry in json.loads((folder / "heldout.json").read_text("utf-8"))]
    base, tokenizer = load_base(resolve_model(str(folder)))
    model = with_adapter(base, resolve_model(str(folder)))
    texts = samples(Chat(tokenizer, "tiny"), heldout, recipe, 512)
    by_text = [in_trees(model, [text], "branches").item() for text in texts]
    lengths = [len(text) for text in texts]
    assert len(set(lengths)) > 1
    mean = sum(loss * length for loss, length in zip(by_text, lengths, strict=True)) / sum(lengths)
    assert measured == pytest.approx([mean] * len(measured), rel=1e-5)
