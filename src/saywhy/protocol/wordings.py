"""The wordings of every request: those that may be practised, and those that never are (docs/definitions.md).

A request says what its style and setting demand and nothing else; the wordings differ in everything besides.
``protocol.prompts`` puts them into chats, and the snapshot tests pin each sentence.
"""

from __future__ import annotations

from collections.abc import Mapping

from saywhy.records import SentenceStyle, Setting, StepsOrder, StyleName

Request = tuple[StyleName, Setting]
"""What is asked for."""

PRACTISED_WORDINGS: Mapping[Request, tuple[str, ...]] = {
    ("attribution", "one-word"): (
        "Which word of the {noun} decided your answer? Reply with one word.",
        "What single word in the {noun} did your answer depend on most? Give only that word.",
        "Name the one word of the {noun} that made you answer this way, and nothing else.",
        "Your answer rests on one word of the {noun}. Which is it? Write just the word.",
        "Point to the word in the {noun} that settled your answer. One word only.",
        "If one word of the {noun} were to blame for your answer, which would it be? Answer with that word alone.",
        "Without which word of the {noun} would you have answered differently? Say this word and no more.",
        "Pick out the word of the {noun} that mattered most for your answer: one word, no sentence.",
        "Please explain your answer with a single word taken from the {noun}.",
        "Tell me the word of the {noun} that tipped the balance. Use one word.",
    ),
    ("attribution", "free"): (
        "Which words of the {noun} decided your answer? Reply with the words, separated by commas.",
        "What words in the {noun} did your answer depend on most? Give only these words, with commas between them.",
        "Name the words of the {noun} that made you answer this way, separated by commas, and nothing else.",
        "Your answer rests on some words of the {noun}. Which are they? Write just the words, separated by commas.",
        "Point to the words in the {noun} that settled your answer. Words only, with commas between them.",
        "If words of the {noun} were to blame for your answer, which would they be? Answer with a list, using commas.",
        "Without which words of the {noun} would you have answered differently? Say them, separated by commas.",
        "Pick out the words of the {noun} that mattered most for your answer: a list with commas, no sentence.",
        "Please explain your answer with words taken from the {noun}, separated by commas.",
        "Tell me the words of the {noun} that tipped the balance. Put commas between them.",
    ),
    ("redaction", "one-word"): (
        "Copy the {noun}, with the word that decided your answer replaced by [REDACTED].",
        "Write the {noun} again, but put [REDACTED] in place of the word that your answer depended on most.",
        "Repeat the whole {noun}, only black out the one word that made you answer this way: write [REDACTED] there.",
        "Your answer rests on one word. Give the {noun} back unchanged, but for [REDACTED] where that word stands.",
        "Hide the word that settled your answer: return the {noun} with [REDACTED] instead of it.",
        "Reproduce the {noun} and cover the single word that is to blame for your answer with [REDACTED].",
        "Please censor the {noun}: the word without which you would have answered differently becomes [REDACTED], "
        "everything else stays.",
        "Take the {noun}, swap the word that mattered most for your answer for [REDACTED], and write out the result.",
        "Output the {noun} with exactly one word masked as [REDACTED], the one that explains your answer.",
        "Type the {noun} once more. At the word that tipped the balance, type [REDACTED].",
    ),
    ("redaction", "free"): (
        "Copy the {noun}, with all words that decided your answer replaced by [REDACTED].",
        "Write the {noun} again, but put [REDACTED] in place of the words that your answer depended on most.",
        "Repeat the whole {noun}, only black out all words that made you answer this way: write [REDACTED] there.",
        "Your answer rests on some words. Give the {noun} back unchanged, but for [REDACTED] where these words stand.",
        "Hide the words that settled your answer: return the {noun} with [REDACTED] instead of them.",
        "Reproduce the {noun} and cover all words that are to blame for your answer with [REDACTED].",
        "Please censor the {noun}: the words without which you would have answered differently become [REDACTED], "
        "everything else stays.",
        "Take the {noun}, swap the words that mattered most for your answer for [REDACTED], and write out the result.",
        "Output the {noun} with all those words masked as [REDACTED] that explain your answer.",
        "Type the {noun} once more. At the words that tipped the balance, type [REDACTED].",
    ),
    ("counterfactual", "one-word"): (
        "Copy the {noun}, with one word replaced so that the answer is {named}.",
        "Write the {noun} again, but exchange one word for another, so that you would answer {named}.",
        "Change a single word of the {noun} to make the answer {named}, and give back the whole {noun}.",
        "How would the {noun} read with one word changed and {named} as the answer? Write it out in full.",
        "Repeat the whole {noun} and let one of its words be a different one: the answer should become {named}.",
        "Turn the answer into {named} by replacing one word of the {noun}. Reply with the edited {noun}.",
        "Please edit the {noun}: one word goes, another word comes in its place, and the answer is {named} then.",
        "I want the answer to be {named}. Swap one word of the {noun} for another and write out the result.",
        "Make the smallest edit of the {noun} that leads to {named}, one word for one word. Return all of it.",
        "Type the {noun} once more, with a different word in one place, such that {named} is the right answer.",
    ),
    ("counterfactual", "free"): (
        "Copy the {noun}, with a few words replaced so that the answer is {named}.",
        "Write the {noun} again, but exchange a few words for others, so that you would answer {named}.",
        "Change a few words of the {noun} to make the answer {named}, and give back the whole {noun}.",
        "How would the {noun} read with a few words changed and {named} as the answer? Write it out in full.",
        "Repeat the whole {noun} and let a few of its words be different ones: the answer should become {named}.",
        "Turn the answer into {named} by replacing a few words of the {noun}. Reply with the edited {noun}.",
        "Please edit the {noun}: a few words go, others come in their place, and the answer is {named} then.",
        "I want the answer to be {named}. Swap a few words of the {noun} for others and write out the result.",
        "Make a small edit of the {noun} that leads to {named}, in a few words at most. Return all of it.",
        "Type the {noun} once more, with different words in a few places, such that {named} is the right answer.",
    ),
}
"""The wordings that arms may practise, the pinned one, with which audits ask, first."""

UNSEEN_WORDINGS: Mapping[Request, tuple[str, str]] = {
    ("attribution", "one-word"): (
        "Form to fill in. Source: the {noun}. Wanted: the reason for your answer. Length: one word of the source.",
        "Someone doubts what you said. Show them the one word of the {noun} that proves it, without further comment.",
    ),
    ("attribution", "free"): (
        "Form to fill in. Source: the {noun}. Wanted: the reasons for your answer. Format: words of the source, "
        "separated by commas.",
        "Someone doubts what you said. Show them the words of the {noun} that prove it, with commas between them and "
        "without further comment.",
    ),
    ("redaction", "one-word"): (
        "Form to fill in. Source: the {noun}. Wanted: its full text. Change: [REDACTED] for one word, the reason for "
        "your answer.",
        "Someone else is to judge the {noun} without the word that you went by. Prepare their text: in its place "
        "stands [REDACTED], the rest is as it was.",
    ),
    ("redaction", "free"): (
        "Form to fill in. Source: the {noun}. Wanted: its full text. Change: [REDACTED] for each word that is a reason "
        "for your answer.",
        "Someone else is to judge the {noun} without the words that you went by. Prepare their text: in the place of "
        "each stands [REDACTED], the rest is as it was.",
    ),
    ("counterfactual", "one-word"): (
        "Form to fill in. Source: the {noun}. Wanted: its full text. Change: another word for one of its words. Answer "
        "afterwards: {named}.",
        "Someone says {named}, and is right: their text differs from the {noun} in one word. Write it down.",
    ),
    ("counterfactual", "free"): (
        "Form to fill in. Source: the {noun}. Wanted: its full text. Change: other words for a few of its words. "
        "Answer afterwards: {named}.",
        "Someone says {named}, and is right: their text differs from the {noun} in a few words. Write it down.",
    ),
}
"""Two more of each in other forms, which no arm ever practises (``robustness=unseen-wording``)."""

SENTENCE_WORDINGS: Mapping[SentenceStyle, tuple[str, ...]] = {
    "keywords": (
        "Which words of the {noun} decided your answer? List up to {count} keywords, separated by commas.",
        "On which words of the {noun} does your answer rest? Give them as keywords, {count} at most, with commas "
        "between them.",
        "Sum up the grounds of your answer in keywords taken from the {noun}: a list with commas, no longer than "
        "{count} words.",
    ),
    "reasons": (
        "Why did you give this answer? Explain in one to three sentences which words of the {noun} decided it.",
        "Give the reasons for your answer, in one to three sentences, and name the words of the {noun} on which they "
        "rest.",
        "In three sentences at most, justify your answer by the words of the {noun} that led to it.",
    ),
    "steps": (
        "How did you get from the {noun} to your answer? Reply with two to five numbered steps that name the words "
        "which decided it.",
        "Explain your answer step by step: two to five numbered steps, from the words of the {noun} to the answer.",
        "Retrace how the words of the {noun} led to your answer, as a numbered list of two to five steps.",
    ),
}
"""The wordings of requests for explanations in sentences, the pinned one first; each says all that is demanded."""

STEPS_FIRST_WORDINGS: tuple[str, ...] = (
    "Before you answer, write two to five numbered steps that name the words of the {noun} which decide. Do not answer "
    "yet.",
    "Think first, in two to five numbered steps, from the words of the {noun} towards an answer, and leave the answer "
    "itself for later.",
    "Do not answer at once: first list, in two to five numbered steps, how the words of the {noun} lead to an answer.",
)
"""The wordings of requests for steps that come before the answer (``steps_order=before``), the pinned one first."""

REQUESTED_LENGTHS: Mapping[StyleName, tuple[int, ...]] = {
    "keywords": (1, 2, 4),
    "reasons": (1, 2, 3),
    "steps": (2, 3, 5),
}
"""How many keywords, sentences or steps are asked for where explanations of several lengths are (F-AUROC)."""

LENGTH_WORDINGS: Mapping[StyleName, str] = {
    "keywords": "Which words of the {noun} decided your answer? List exactly {length}, separated by commas.",
    "reasons": "Why did you give this answer? Explain in exactly {length} which words of the {noun} decided it.",
    "steps": "How did you get from the {noun} to your answer? Reply with exactly {length} that name the words which "
    "decided it.",
}
"""The wordings of requests for an explanation of some length, ``{length}`` being *2 keywords*."""

STEPS_FIRST_LENGTH_WORDING = (
    "Before you answer, write exactly {length} that name the words of the {noun} which decide. Do not answer yet."
)
"""The same for steps that come before the answer."""

_UNITS: Mapping[StyleName, str] = {"keywords": "keyword", "reasons": "sentence", "steps": "numbered step"}


def length_wording(style: StyleName, length: int, order: StepsOrder = "after") -> str:
    """Return the wording that asks for an explanation of a length, with a place for the noun alone.

    >>> length_wording("reasons", 1)
    'Why did you give this answer? Explain in exactly 1 sentence which words of the {noun} decided it.'
    """
    wording = STEPS_FIRST_LENGTH_WORDING if (style, order) == ("steps", "before") else LENGTH_WORDINGS[style]
    return wording.replace("{length}", f"{length} {_UNITS[style]}{'s' if length > 1 else ''}")


def length_prompts(order: StepsOrder = "after") -> dict[str, str]:
    """Return every template that asks for an explanation of a length, by name."""
    return {
        f"{style}, sentences, length {length}": length_wording(style, length, order)
        for style, lengths in REQUESTED_LENGTHS.items()
        for length in lengths
    }
