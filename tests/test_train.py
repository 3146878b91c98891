"""Training: what is supervised, a tree's loss is its rows' loss, what ships, and a kill loses nothing."""

import dataclasses
import json

import pytest
import torch
from datasets import Dataset, load_dataset
from peft import AutoPeftModelForCausalLM, LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

import tiny
from saywhy import targets
from saywhy.edits import Item
from saywhy.models.chat import Chat
from saywhy.models.forward import WAYS, Forward
from saywhy.models.protocol import Choice
from saywhy.models.spec import load, resolve
from saywhy.prompts import question
from saywhy.records import STYLES, Prediction, SaywhyError
from saywhy.supervision import Recipe, encode, mix, samples
from saywhy.train import train, tree_loss

RECIPE = Recipe(rate=1e-2, epochs=2, batch=2, rank=4)
TEXTS = (*tiny.TEXTS, "so sad, so sad :(", "I love @you", "cold day, great food")


def made_rows(texts=TEXTS):
    prediction = Prediction("positive", "positive", {"negative": -2.0, "positive": -0.1}, 1.9, "negative")
    items = [Item(example, prediction) for example in tiny.examples(texts)]
    picks = targets.at_random(items, tiny.PINNED, seed=0)
    return targets.rows(tiny.TASK, items, picks, STYLES, labels=["positive"] * len(items))


@pytest.fixture(scope="module")
def chat():
    return Chat(tiny.tokenizer(), "tiny")


@pytest.fixture(scope="module")
def rows():
    return made_rows()


def supervised(chat, encoded):
    return chat.tokenizer.decode(encoded["ids"][encoded["start"] :])


def test_the_completion_and_its_end_are_supervised_and_nothing_else(chat, rows):
    for row in rows:
        encoded = encode(chat, row, RECIPE)
        said = row["completion"][0]["content"]
        assert supervised(chat, encoded) == said + "<|im_end|>"
        assert chat.tokenizer.decode(encoded["ids"][: encoded["start"]]) == chat.open(row["prompt"])
        assert len(encoded["weights"]) == len(encoded["ids"]) - encoded["start"]
        assert sum(encoded["weights"]) == pytest.approx(1.0)


def test_the_end_is_supervised_where_the_pad_is_the_end(rows):
    chat = Chat(tiny.tokenizer(pad="<|im_end|>"), "tiny")
    assert all(supervised(chat, encode(chat, row, RECIPE)).endswith("<|im_end|>") for row in rows)


def test_decisions_weigh_more_than_copies(chat, rows):
    for row in rows:
        encoded = encode(chat, row, dataclasses.replace(RECIPE, decision_weight=5.0))
        said = row["completion"][0]["content"]
        least = min(encoded["weights"])
        heavy = [
            chat.tokenizer.decode([token])
            for token, weight in zip(encoded["ids"][encoded["start"] :], encoded["weights"], strict=True)
            if weight == pytest.approx(5 * least)
        ]
        if row["style"] in ("redaction", "counterfactual"):
            [(start, stop), *_] = row["decision"]
            assert said[start:stop] in "".join(heavy)
            assert 0 < len(heavy) < len(encoded["weights"])


def test_the_label_turn_counts_as_much_as_it_is_told(chat, rows):
    halved = dataclasses.replace(RECIPE, label_weight=0.5)
    sums = {row["style"]: sum(encode(chat, row, halved)["weights"]) for row in rows}
    assert sums == pytest.approx({"label": 0.5, "attribution": 1, "redaction": 1, "counterfactual": 1})


def test_rows_that_cannot_be_learned_from_are_refused(chat, rows):
    with pytest.raises(SaywhyError, match=r"t0: .* tokens, the model takes 20"):
        samples(chat, rows, RECIPE, longest=20)
    empty = {**rows[0], "completion": [{"role": "assistant", "content": ""}]}
    with pytest.raises(SaywhyError, match="completion is empty"):
        encode(chat, empty, RECIPE)
    odd = Chat(tiny.tokenizer(), "odd")
    odd.open = lambda messages: "another prompt"
    with pytest.raises(SaywhyError, match="no prefix"):
        encode(odd, rows[0], RECIPE)


def test_the_rows_of_a_text_stay_together(chat, rows):
    made = samples(chat, rows, RECIPE, 512)
    assert [len(one) for one in made] == [1 + len(STYLES)] * len(TEXTS)


def test_replay_is_its_share_of_the_samples(rows):
    replay = [[{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": f"a{i}"}] for i in range(9)]
    mixed = mix(rows, replay, 0.25, seed=0)
    assert mixed[: len(rows)] == rows
    added = mixed[len(rows) :]
    assert len(added) / (len(TEXTS) + len(added)) == pytest.approx(0.25)
    assert len({row["id"] for row in added}) == len(added)
    assert mix(rows, replay, 0.25, seed=0) == mixed
    assert mix(rows, [], 0.25, seed=0) == rows


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
    return tree_loss(Forward(base, "tiny", (way,)), texts)


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
@pytest.mark.parametrize("way", WAYS)
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
    trainer = SFTTrainer(
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
    for row, theirs in zip(rows, trainer.train_dataset, strict=True):
        ours = encode(chat, row, RECIPE)
        assert theirs["input_ids"][: len(ours["ids"])] == ours["ids"]
        assert [label != -100 for label in theirs["labels"]].index(True) == ours["start"]
        assert -100 not in theirs["labels"][ours["start"] :]
        assert chat.tokenizer.decode(theirs["input_ids"][len(ours["ids"]) :]).strip() == ""
    assert trainer.train().training_loss > 0


@pytest.fixture(scope="module")
def adapter(tiny_folder, rows, tmp_path_factory):
    """Return the folder of an undisturbed training."""
    return train(resolve(str(tiny_folder)), rows, RECIPE, tmp_path_factory.mktemp("adapter"))


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "adapter_model.safetensors")


def test_what_ships_is_a_standard_adapter_of_its_base(adapter, tiny_folder, loaded):
    config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    assert config["base_model_name_or_path"] == str(tiny_folder)
    peft = AutoPeftModelForCausalLM.from_pretrained(adapter)
    ours = load(str(adapter)).model
    tiny.exact_products()
    ids = torch.arange(5, 25)[None]
    with torch.inference_mode():
        theirs, mine, before = (model(input_ids=ids).logits for model in (peft, ours, loaded("llama").model))
    assert torch.allclose(theirs, mine, atol=1e-4)
    assert not torch.allclose(before, mine, atol=1e-2)


def test_the_adapter_answers_by_its_folder_and_has_learned_what_it_was_told(adapter, loaded):
    trained = load(str(adapter))
    tiny.exact_products()
    asked = [Choice(question(tiny.TASK, text, {}), ("positive",), tiny.TASK.lead_in) for text in tiny.TEXTS]
    before, after = (model.choose(asked) for model in (loaded("llama"), trained))
    assert sum(score for [score] in after) > sum(score for [score] in before) + 1


def test_the_losses_fall_and_are_kept(adapter):
    losses = [entry["loss"] for entry in json.loads((adapter / "losses.json").read_text("utf-8"))]
    assert losses[-1] < losses[0]


def test_the_same_training_twice_is_the_same(adapter, tiny_folder, rows, tmp_path):
    again = weights(train(resolve(str(tiny_folder)), rows, RECIPE, tmp_path))
    assert all(torch.equal(weight, again[name]) for name, weight in weights(adapter).items())


def test_a_checkpoint_that_was_killed_half_way_is_passed_over(tiny_folder, rows, tmp_path, adapter):
    def kill(done, of):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(resolve(str(tiny_folder)), rows, RECIPE, tmp_path, kill)
    (tmp_path / "checkpoints" / "checkpoint-4").mkdir()
    resumed = weights(train(resolve(str(tiny_folder)), rows, RECIPE, tmp_path))
    assert all(torch.allclose(weight, resumed[name], atol=1e-7) for name, weight in weights(adapter).items())


def test_a_text_that_ends_the_turn_itself_is_refused(chat):
    with pytest.raises(SaywhyError, match="contains the chat template's end of turn"):
        [encode(chat, row, RECIPE) for row in made_rows(("hack <|im_end|> this text",))]


@pytest.mark.parametrize("killed_at", [1, 3, 5])
def test_a_killed_training_goes_on_to_the_same_weights(adapter, tiny_folder, rows, tmp_path, killed_at):
    def kill(done, of):
        if done == killed_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(resolve(str(tiny_folder)), rows, RECIPE, tmp_path, kill)
    assert not (tmp_path / "adapter_config.json").exists()
    steps = []
    train(resolve(str(tiny_folder)), rows, RECIPE, tmp_path, lambda done, of: steps.append((done, of)))
    assert steps[-1] == (6, 6)
    assert steps[0] == (killed_at, 6)
    straight, resumed = weights(adapter), weights(tmp_path)
    assert straight.keys() == resumed.keys()
    assert all(torch.allclose(weight, resumed[name], atol=1e-7) for name, weight in straight.items())


def test_an_adapter_is_continued_and_still_names_the_base(adapter, tiny_folder, rows, tmp_path):
    further = train(resolve(str(adapter)), rows, dataclasses.replace(RECIPE, epochs=1), tmp_path)
    config = json.loads((further / "adapter_config.json").read_text("utf-8"))
    assert config["base_model_name_or_path"] == str(tiny_folder)
    start, end = weights(adapter), weights(further)
    assert start.keys() == end.keys()
    moved = max((start[name] - end[name]).abs().max().item() for name in start)
    assert 0 < moved < 0.5


def test_full_fine_tuning_ships_a_whole_model(tiny_folder, rows, tmp_path, loaded):
    folder = train(resolve(str(tiny_folder)), rows, dataclasses.replace(RECIPE, rank=0, epochs=1), tmp_path)
    assert not (folder / "adapter_config.json").exists()
    model = load(str(folder))
    tiny.exact_products()
    assert model.generate([[{"role": "user", "content": "hi"}]], [3])
    name = "model.embed_tokens.weight"
    assert not torch.equal(model.model.state_dict()[name], loaded("llama").model.state_dict()[name])


def test_without_packing_the_training_is_the_same(adapter, tiny_folder, rows, tmp_path):
    plain = weights(train(resolve(str(tiny_folder)), rows, dataclasses.replace(RECIPE, packing="none"), tmp_path))
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

    monkeypatch.setattr("saywhy.train.samples", by_token)
    recipe = Recipe(rate=rate, epochs=steps, batch=len(tiny.TEXTS), rank=0)
    train(resolve(str(folder)), rows, recipe, tmp_path / "ours")
    ours = [entry["loss"] for entry in json.loads((tmp_path / "ours" / "losses.json").read_text())]
    theirs = [entry["loss"] for entry in trl.state.log_history if "loss" in entry]
    assert len(ours) == steps
    assert ours == pytest.approx(theirs, abs=2e-4)
    assert ours[-1] < ours[0] - 0.3
