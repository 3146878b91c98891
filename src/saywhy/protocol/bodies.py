"""Which texts a reply may mean: whole, without formatting, behind a preface, one of its lines."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from saywhy.protocol.naming import BULLET_MARK
from saywhy.words import fold_marks, occurrences

_FORMATTING_MARKS = re.compile(r"\*\*|__|`")
_TRAILING_NOTE = re.compile(r"\s*\([^()]*\)\s*$")


def most_similar_body(text: str, reply: str) -> str:
    """Return a reply without preface and notes: of the texts that it may mean, the one most like ``text``."""
    old = [word.key for word in occurrences(text)]

    def likeness(body: str) -> float:
        return SequenceMatcher(a=old, b=[word.key for word in occurrences(body)], autojunk=False).ratio()

    return max(possible_bodies(reply), key=likeness)


def possible_bodies(reply: str) -> list[str]:
    """Return the texts that a reply may mean: whole, without formatting, behind a preface, one of its lines."""
    whole = reply.strip()
    lines = [line.strip() for line in whole.splitlines() if line.strip()]
    bodies = [whole, *([" ".join(lines[1:]), " ".join(lines[:-1]), *lines] if len(lines) > 1 else [])]
    bodies += [BULLET_MARK.sub("", body) for body in bodies]
    bodies += [body.split(":", 1)[1].strip() for body in bodies if ":" in body]
    bodies += [_FORMATTING_MARKS.sub("", body).strip() for body in bodies]
    bodies += [body[1:-1].strip() for body in bodies if fold_marks(body[:1] + body[-1:]) in ('""', "''")]
    bodies += [_TRAILING_NOTE.sub("", body).strip() for body in bodies]
    return list(dict.fromkeys(body for body in bodies if body)) or [whole]
