"""How the chat templates of much-used families behave, written anew and short, each with a tokenizer of its kind."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import tiny


class Family(NamedTuple):
    """A family of models.

    Attributes:
        template: Its chat template.
        end: The token that ends a turn.
        special: Its other special tokens.
        words: Added tokens that are not special.
        prefix: Where its tokenizer writes the blank before a word: "bytes" (as a byte), else as sentencepiece does:
            "always" (also at the beginning of a piece), "first", "never".
        lead: What it writes between an opened chat and the answer.
        thoughts: Whether it writes thoughts.
        system: Whether it takes system turns.
    """

    template: str
    end: str
    special: Sequence[str] = ()
    words: Sequence[str] = ()
    prefix: str = "bytes"
    lead: str = ""
    thoughts: bool = False
    system: bool = True


THINK = ("<think>", "</think>")
IM = ("<|im_start|>", "<|endoftext|>")


def chatml(default: str) -> str:
    """ChatML that writes a system turn of its own where none is given."""
    return (
        "{% if messages[0].role != 'system' %}<|im_start|>system\n" + default + "<|im_end|>\n{% endif %}"
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )


INST = (  # a system turn is written into the first user's; roles alternate
    "{{ bos_token }}{% if messages[0].role == 'system' %}{% set rest = messages[1:] %}{% set s = SYSTEM %}"
    "{% else %}{% set rest = messages %}{% set s = '' %}{% endif %}{% for m in rest %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if m.role == 'user' %}{{ '[INST] ' + (s if loop.first else '') + m.content.strip() + ' [/INST]' }}"
    "{% else %}{{ ANSWER }}{% endif %}{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% set p = '' %}SYSTEM{% for m in messages %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ (p if loop.first else '') }}"
    "{{ m.content | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
LLAMA_3 = (
    "{{ bos_token }}{% if date_string is not defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "<|start_header_id|>system<|end_header_id|>\n\nToday Date: {{ date_string }}\n\n"
    "{% if messages[0].role == 'system' %}{{ messages[0].content | trim }}{% set messages = messages[1:] %}{% endif %}"
    "<|eot_id|>{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}"
    "<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
QWEN_3 = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}"
    "{% set answer = m.content.split('</think>')[-1].lstrip('\n') %}"
    "{% if loop.last %}<think>\n\n</think>\n\n{% endif %}{{ answer }}{% else %}{{ m.content }}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
SMOLLM_3 = (
    "{% if enable_thinking is not defined %}{% set enable_thinking = true %}{% endif %}<|im_start|>system\n"
    "Today Date: {{ strftime_now('%d %B %Y') }}\nReasoning Mode: {{ '/think' if enable_thinking else '/no_think' }}\n"
    "{% if messages[0].role == 'system' %}{{ messages[0].content }}{% set messages = messages[1:] %}{% endif %}"
    "<|im_end|>\n{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and not enable_thinking %}<think>\n\n</think>\n{% endif %}{{ m.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if not enable_thinking %}<think>\n\n</think>\n{% endif %}{% endif %}"
)
R1 = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}{% elif m.role == 'user' %}"
    "{{ '<\uff5cUser\uff5c>' + m.content }}{% else %}"
    "{{ '<\uff5cAssistant\uff5c>' + m.content.split('</think>')[-1] + eos_token }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<\uff5cAssistant\uff5c>OPENED{% endif %}"
)
TULU = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}"
    "{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}"
    "{{ '' if loop.last and m.role == 'assistant' else '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
_PHI_3 = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}"
)
_PHI_4 = (
    "{% for m in messages %}<|im_start|>{{ m.role }}<|im_sep|>{{ m.content }}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant<|im_sep|>{% endif %}"
)
_ZEPHYR = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_LLAMA_2 = INST.replace("SYSTEM", "'<<SYS>>\n' + messages[0].content + '\n<</SYS>>\n\n'").replace(
    "ANSWER", "' ' + m.content.strip() + ' ' + eos_token"
)
_MISTRAL = INST.replace("SYSTEM", "messages[0].content + '\n\n'").replace("ANSWER", "' ' + m.content + eos_token")
_GEMMA_3 = (
    "{% if messages[0].role == 'system' %}{% set p = messages[0].content + '\n\n' %}"
    "{% set messages = messages[1:] %}{% endif %}"
)
_REFUSED = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
_DEMANDED = "{% if messages[0].role != 'system' %}{{ raise_exception('begin with a system turn') }}{% endif %}"
_GEMMA_MARKS = ("<bos>", "<start_of_turn>")
_R1_MARKS = ("<\uff5cbegin▁of▁sentence\uff5c>", "<\uff5cUser\uff5c>", "<\uff5cAssistant\uff5c>")

FAMILIES = {
    "llama 2": Family(_LLAMA_2, "</s>", ["<s>"], prefix="always", lead=" "),
    "llama 3": Family(LLAMA_3, "<|eot_id|>", ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>"]),
    "mistral": Family(_MISTRAL, "</s>", ["<s>", "[INST]", "[/INST]"], prefix="first", lead=" "),
    "qwen 2.5": Family(chatml("You are a helpful assistant."), "<|im_end|>", IM),
    "qwen 3": Family(QWEN_3, "<|im_end|>", IM, THINK, thoughts=True),
    "gemma 2": Family(
        GEMMA.replace("SYSTEM", _REFUSED), "<end_of_turn>", _GEMMA_MARKS, ["<table>"], "never", system=False
    ),
    "gemma 3": Family(GEMMA.replace("SYSTEM", _GEMMA_3), "<end_of_turn>", _GEMMA_MARKS, ["<table>"], "never"),
    "phi 3": Family(_PHI_3, "<|end|>", ["<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>"], prefix="always"),
    "phi 4": Family(_PHI_4, "<|im_end|>", ["<|im_start|>", "<|im_sep|>"]),
    "olmo 2": Family(TULU, "<|endoftext|>"),
    "smollm 2": Family(chatml("You are a helpful AI assistant."), "<|im_end|>", IM),
    "smollm 3": Family(SMOLLM_3, "<|im_end|>", IM, THINK, thoughts=True),
    "r1 distill": Family(
        R1.replace("OPENED", "<think>\n"), "<\uff5cend▁of▁sentence\uff5c>", _R1_MARKS, THINK, thoughts=True
    ),
    "r1 distill, older": Family(
        R1.replace("OPENED", ""), "<\uff5cend▁of▁sentence\uff5c>", _R1_MARKS, THINK, thoughts=True
    ),
    "zephyr": Family(_ZEPHYR, "</s>", prefix="always", lead="\n"),
    "system demanded": Family(_DEMANDED + tiny.CHATML, "<|im_end|>", IM),
    "no end": Family(_PHI_4.replace("<|im_end|>", ""), "</s>", ["<|im_start|>", "<|im_sep|>"]),
}
"""Name to how the templates and tokenizers of a family behave; the last ones are rare, and none of the ten."""


def tokenizer(family: Family) -> PreTrainedTokenizerFast:
    """Train a tokenizer of a family's kind on a few sentences."""
    special = [*family.special, family.end]
    if family.prefix == "bytes":
        bpe = Tokenizer(models.BPE())
        bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        bpe = Tokenizer(models.BPE(unk_token="<unk>"))
        bpe.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=family.prefix)
        bpe.decoder = decoders.Metaspace(prepend_scheme=family.prefix)
        special, alphabet = ["<unk>", *special], [*map(chr, range(33, 127)), "\n", "▁"]
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(tiny.SENTENCES, trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token=family.end, pad_token=family.end)
    if begins := next((token for token in family.special if "begin" in token or token in ("<s>", "<bos>")), None):
        made.bos_token = begins
    made.add_tokens([AddedToken(word, special=False, normalized=False) for word in family.words])
    made.chat_template = family.template
    return made


def save(folder: Path, family: Family) -> Path:
    """Write a tiny random model of a family."""
    made = tokenizer(family)
    torch.manual_seed(0)
    size = {**tiny._WIDE, "max_position_embeddings": 1024}
    LlamaForCausalLM(LlamaConfig(vocab_size=len(made), **size, num_key_value_heads=2)).save_pretrained(folder)
    made.save_pretrained(folder)
    return folder
