"""The mask of a text: its words become indices, its id, edits and replies hashes that are keyed with a secret."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saywhy.folders.store import read_text, write_bytes
from saywhy.records import SaywhyError
from saywhy.words import CANDIDATES_RULE, candidates

UNKNOWN_WORD = "#?"
"""Stands for a word of a text that is missing in the run."""

MaskedLine = dict[str, Any]


@dataclass(frozen=True)
class BankKey:
    """The secret behind the hashes of a bank: who lacks it cannot try texts against them.

    Attributes:
        secret: Random bytes, which stay at home.
    """

    secret: bytes

    @classmethod
    def at(cls, path: Path) -> BankKey:
        """Return the key that the file ``path`` keeps (hexadecimal, for its owner's eyes); made if there is none.

        Raises:
            SaywhyError: If the file holds no key.
        """
        if not path.exists():
            write_bytes(path, f"{secrets.token_hex(32)}\n".encode(), mode=0o600)
        content = read_text(path).strip()
        if not re.fullmatch(r"[0-9a-f]{64}", content):
            raise SaywhyError(f"{path} holds no key of a bank (64 hexadecimal digits): restore it, or give another")
        return cls(bytes.fromhex(content))

    def hashed(self, *strings: str) -> str:
        """Return the keyed hash of strings: 64 hex digits."""
        return hmac.new(self.secret, "\0".join(strings).encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def id(self, name: str) -> str:
        """Return what stands for the id of a text, which is a plain hash of it: 12 hex digits."""
        return self.hashed("id", name)[:12]


@dataclass(frozen=True)
class Mask:
    """Masks the words of one text, its edits and its replies.

    Attributes:
        text: The text; None if it is missing in the run.
        indices: Index of each candidate, as ``#3``.
        pinned: The words that counterfactuals may insert: corpus words, which stay.
        key: The secret of the bank.
    """

    text: str | None
    indices: Mapping[str, str]
    pinned: frozenset[str]
    key: BankKey

    @classmethod
    def of(cls, text: str | None, pinned: frozenset[str], key: BankKey, rule: int = CANDIDATES_RULE) -> Mask:
        """Return the mask of ``text``, whose words are numbered by the run's ``rule`` for candidates."""
        words = [word.key for word in candidates(text, rule)] if text is not None else []
        return cls(text, {word: f"#{index}" for index, word in enumerate(words)}, pinned, key)

    def word(self, word: str) -> str:
        """Return the index of a word of the text, the hash of any other."""
        return UNKNOWN_WORD if self.text is None else self.indices.get(word) or self.hashed(word)

    def hashed(self, string: str) -> str:
        """Return ``sha256:`` and 16 hex digits of the keyed hash of the text and ``string``.

        Who has the texts and the key can check it.
        """
        return f"sha256:{self.key.hashed(self.text or '', string)[:16]}"

    def line(self, line: Mapping[str, Any]) -> MaskedLine:
        """Return a record without words of the text; numbers, labels and names stay."""
        masked = dict(line) | ({"id": self.key.id(line["id"])} if "id" in line else {})
        for key in ("words", "causes", "denied", "mentioned"):
            if key in line:
                masked[key] = [self.word(word) for word in line[key]]
        if "insertions" in line:
            masked["insertions"] = [
                {**insertion, "id": self.key.id(insertion["id"]), "word": self.word(insertion["word"])}
                for insertion in line["insertions"]
            ]
        if "inserted" in line:
            masked["inserted"] = [word if word in self.pinned else self.word(word) for word in line["inserted"]]
        for key in ("reply", "edited"):
            if line.get(key) is not None:
                masked[key] = self.hashed(line[key])
        return masked | short_reason(line)


def short_reason(line: Mapping[str, Any]) -> MaskedLine:
    """Return the reason of a line without its detail, which may quote a reply."""
    return {"reason": line["reason"].split(": ")[0]} if line.get("reason") else {}
