"""The mask of a text: its words become indices, its edits and replies hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from saywhy.words import CANDIDATES_RULE, candidates

UNKNOWN_WORD = "#?"
"""Stands for a word of a text that is missing in the run."""

MaskedLine = dict[str, Any]


@dataclass(frozen=True)
class Mask:
    """Masks the words of one text, its edits and its replies.

    Attributes:
        text: The text; None if it is missing in the run.
        indices: Index of each candidate, as ``#3``.
        pinned: The words that counterfactuals may insert: corpus words, which stay.
    """

    text: str | None
    indices: Mapping[str, str]
    pinned: frozenset[str]

    @classmethod
    def of(cls, text: str | None, pinned: frozenset[str], rule: int = CANDIDATES_RULE) -> Mask:
        """Return the mask of ``text``, whose words are numbered by the run's ``rule`` for candidates."""
        keys = [word.key for word in candidates(text, rule)] if text is not None else []
        return cls(text, {key: f"#{index}" for index, key in enumerate(keys)}, pinned)

    def word(self, key: str) -> str:
        """Return the index of a word of the text, the hash of any other."""
        return UNKNOWN_WORD if self.text is None else self.indices.get(key) or self.hashed(key)

    def hashed(self, string: str) -> str:
        """Return ``sha256:`` and 16 hex digits of the hash of the text and ``string``.

        The text is hashed too, else a short reply could be guessed. Who has the texts can check the hash.
        """
        salted = "\0".join((self.text or "", string))
        return f"sha256:{hashlib.sha256(salted.encode()).hexdigest()[:16]}"

    def line(self, line: Mapping[str, Any]) -> MaskedLine:
        """Return a record without words of the text; numbers, labels and names stay."""
        masked = dict(line)
        for key in ("words", "causes"):
            if key in line:
                masked[key] = [self.word(word) for word in line[key]]
        if "inserted" in line:
            masked["inserted"] = [word if word in self.pinned else self.word(word) for word in line["inserted"]]
        for key in ("reply", "edited"):
            if line.get(key) is not None:
                masked[key] = self.hashed(line[key])
        return masked | short_reason(line)


def short_reason(line: Mapping[str, Any]) -> MaskedLine:
    """Return the reason of a line without its detail, which may quote a reply."""
    return {"reason": line["reason"].split(": ")[0]} if line.get("reason") else {}
