"""The page in a browser: what it says of a decision, and that it says nothing else; all can be read and reached."""

import itertools
import json
import re
import shlex
from typing import get_args

import pytest
from contrast import low_contrasts
from toy_page import ALONE, HOLDS, PAIR, link, spoil

from moods import TASK
from saywhy.holding import CheckStatus

HOSTILE = 'a \u202egreat\u202c <img src=x onerror=alert(1)> \U0001f44d\U0001f3fd day \'n "q" `id` $(id) &amp; \\u0041'


def status_of(page):
    return page.locator(".verdict").first.get_attribute("data-status")


def test_words_are_shaded_by_sign_and_depth_and_say_so_in_words(address, open_page):
    page = open_page(link(address, text=HOLDS, model="trained"))
    words = page.locator(".words .word")
    words.first.wait_for()
    looks = {word.inner_text(): word.get_attribute("class") for word in words.all()}
    assert looks["love"] == "word for level-4 named"
    assert looks["great"] == "word for level-4"
    assert looks["sad"] == "word against level-4"
    assert looks["We"] == "word none"
    edges = [
        page.locator(f".words .{sign}").first.evaluate("e => getComputedStyle(e).borderBottomStyle")
        for sign in ("for", "against")
    ]
    assert edges == ["solid", "dashed"]  # without any colour
    label = page.locator(".words .against").get_attribute("aria-label")
    assert label == "“sad” speaks against positive: \u22122.00 nats; without it the answer stays positive. Take it out"
    page.get_by_text("The same as a table").click()
    assert page.locator("tbody tr").first.inner_text().split() == ["love", "+2.00", "negative"]


def test_two_words_that_decide_are_those_of_the_ruler(address, open_page):
    page = open_page(link(address, text=PAIR, model="trained", effort="search"))
    page.wait_for_selector(".ruler")
    assert status_of(page) == "no_single_word"
    assert "No single word decides; these two do: “love” and “great”" in page.inner_text(".headline")
    assert "found by the ruler, not said by the model" in page.inner_text(".message")
    assert page.inner_text(".ruler h2") == "Found by the ruler, not said by the model"
    assert page.locator(".ruler ins").all_inner_texts() == ["[REDACTED]"] * 2
    assert page.locator(".words .fallback").all_inner_texts() == ["great"]


def test_green_is_what_holds_and_nothing_else(address, open_page):
    page = open_page(link(address, text=HOLDS))
    for status in (*get_args(CheckStatus), "constructor", "kept"):
        check = {
            "status": status,
            "text_without": None,
            "label_without": None,
            "drop": None,
            "chance": None,
            "chance_of": 0,
        }
        spoil(page, check={**check, "possible": None, "problem": None}, redaction=None, counterfactual=None)
        page.reload()
        page.wait_for_selector(".decision")
        assert page.locator(".decision .holds").count() == (2 if status == "holds" else 0)
        assert ("The reason holds" in page.inner_text(".headline")) == (status == "holds")
        page.unroute("**/v1/explain")


def test_what_the_ruler_found_is_in_the_headline_only_if_it_holds(address, open_page):
    page = open_page(address)
    fallback = {"words": ["day"], "spans": [[19, 22]]}
    check = {
        "status": "too_close",
        "text_without": "x",
        "label_without": "bad",
        "drop": 1.0,
        "chance": 0.7,
        "chance_of": 10,
    }
    spoil(page, check={**check, "status": "does_not_hold"}, fallback={**fallback, "check": check})
    page.fill("#text", HOLDS)
    page.click("#explain")
    page.wait_for_selector(".ruler")
    assert page.inner_text(".headline") == "✗ The reason does not hold"
    assert page.locator(".ruler .badge").inner_text() == "≈ no better than other words"


def test_a_confidence_is_said_as_what_was_counted(address, open_page):
    page = open_page(address)
    shares = {"probability": 0.81, "share": 0.83, "low": 0.715, "high": 0.997, "texts": 60, "shown": True}
    spoil(page, confidence=shares)
    page.fill("#text", HOLDS)
    page.click("#explain")
    counted = "Of 60 audited decisions like this one, 83 % had a reason that held (95 % interval: 72 % to 99.7 %)."
    page.wait_for_selector(".verdict")
    assert counted in page.inner_text(".verdict")


def test_a_text_of_one_word_is_not_explainable(address, open_page):
    page = open_page(link(address, text=ALONE))
    page.wait_for_selector(".decision")
    assert status_of(page) == "not_explainable"
    assert page.inner_text(".why") == "no reason"
    assert page.locator(".words .unknown").all_inner_texts() == [ALONE]


def test_a_reason_behind_the_first_says_which_it_is(address, open_page):
    page = open_page(link(address, text=HOLDS, model="base", effort="repair"))
    page.wait_for_selector(".decision")
    assert re.search(r"its \d+(nd|rd|th) likeliest, the first that holds", page.inner_text(".strip"))
    ranks = page.evaluate(
        "import('/decision.js').then(({ origin }) =>"
        " [2, 3, 4, 11, 12, 13, 21, 22, 101, 111].map((rank) => origin({ rank }).split(' ')[1]))"
    )
    assert ranks == ["2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "101st", "111th"]


def test_both_models_side_by_side(address, open_page):
    page = open_page(link(address, text=HOLDS, model="both", effort="self"))
    page.wait_for_selector(".decision >> nth=1")
    assert page.locator(".decision > h2").all_inner_texts() == ["Trained", "Base"]
    statuses = [verdict.get_attribute("data-status") for verdict in page.locator(".verdict").all()]
    assert statuses == ["holds", "does_not_hold"]
    boxes = [decision.bounding_box() for decision in page.locator(".decision").all()]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert len(json.loads(page.text_content("#json"))) == 2


def test_a_hostile_text_stays_a_text(address, open_page):
    page = open_page(link(address, text=HOSTILE))
    page.wait_for_selector(".decision")
    assert page.locator("main img, #results script").count() == 0
    shown = page.inner_text(".words")
    assert "⟨U+202E⟩" in shown
    assert "<img src=x onerror=alert(1)>" in shown
    assert "great" in page.locator(".words .word").all_inner_texts()  # behind characters of two units
    page.locator(".words .word", has_text="day").click()
    page.wait_for_selector("#change h2")
    assert page.input_value("#text") == HOSTILE.replace("day", "[REDACTED]")
    assert not re.search(
        "[\u202a-\u202e\u2066-\u2069]", page.evaluate("document.getElementById('decisions').textContent")
    )
    curl = page.text_content("#curl")
    assert curl.isascii()
    assert curl.isprintable() or set(re.findall(r"[^ -~]", curl)) == {"\n"}
    words = shlex.split(curl)
    assert json.loads(words[words.index("-d") + 1])["text"] == page.input_value("#text")


def test_hostile_words_of_a_service_stay_words(address, open_page):
    page = open_page(address)
    spoil(page, message="<b>bold</b>\u202e", label_words={"good": "<i>good</i>", "bad": "<script>alert(1)</script>"})
    page.fill("#text", HOLDS)
    page.click("#explain")
    page.wait_for_selector(".decision")
    assert page.inner_text(".message") == "<b>bold</b>⟨U+202E⟩"
    assert page.inner_text(".answer") == "<i>good</i>"
    assert page.locator("#results :is(b, i, script)").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_is_legible_in_both_themes(address, open_page, scheme):
    page = open_page(address, color_scheme=scheme)
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", back)[0]) < 60) == (scheme == "dark")
    for effort, text, model in (("search", PAIR, "both"), ("self", HOLDS, "both")):
        page.goto(link(address, text=text, effort=effort, model=model, before=ALONE))
        page.wait_for_selector(".decision >> nth=1")
        page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
        assert low_contrasts(page) == []
    page.evaluate(
        "import('/elements.js').then(({ el }) => {"
        " for (const sign of ['for', 'against']) for (const level of [1, 2, 3, 4])"
        " document.querySelector('.words').append(el(`button.word.${sign}.level-${level}`, 'word')); })"
    )
    assert low_contrasts(page) == []
    page.evaluate("back => { document.querySelector('h1').style.color = back; }", back)
    assert [entry[0] for entry in low_contrasts(page)] == [TASK.question]  # it would have been seen


def test_it_fits_a_phone(address, open_page):
    page = open_page(
        link(address, text=f"{PAIR} {'unbreakable' * 9}", effort="search", model="both", before=PAIR),
        viewport={"width": 360, "height": 740},
        has_touch=True,
        is_mobile=True,
    )
    page.wait_for_selector(".decision >> nth=1")
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    controls = page.locator("button, select, textarea, input, summary").locator("visible=true")
    small = [control.inner_text() for control in controls.all() if control.bounding_box()["height"] < 44]
    assert small == []


def test_every_control_has_a_name_and_every_id_is_one(address, open_page):
    page = open_page(link(address, text=PAIR, model="both"))
    page.wait_for_selector(".decision >> nth=1")
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    ids = page.locator("[id]").evaluate_all("all => all.map(e => e.id)")
    assert len(ids) == len(set(ids))
    named = "e => e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim()"
    nameless = page.locator("button, select, textarea, input, summary").evaluate_all(
        f"all => all.filter(e => !({named})(e)).map(e => e.outerHTML)"
    )
    assert nameless == []
    for attribute in ("for", "aria-labelledby", "aria-describedby"):
        referred = page.locator(f"[{attribute}]").evaluate_all(f"all => all.map(e => e.getAttribute('{attribute}'))")
        assert set(referred) <= set(ids)
    levels = (
        page.locator("h1, h2, h3").locator("visible=true").evaluate_all("all => all.map(e => Number(e.tagName[1]))")
    )
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert page.locator("main").count() == 1
    assert "No single word decides" in page.locator("#status[role=status]").inner_text()
