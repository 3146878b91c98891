"""The page of the service in a browser, over models of known truth: what it says, and that it says nothing else."""

import itertools
import json
import re
import shlex
from importlib import resources
from typing import get_args
from urllib.parse import urlencode

import pytest
from contrast import low_contrasts

from moods import TASK
from saywhy.holding import CheckStatus
from saywhy.models.scripted import honest, liar
from saywhy.serve.options import ServiceSettings
from saywhy.serve.service import Service
from served import Observed, explainer_of, running

HOLDS = "We love this great day but I am sad"
"""Without one of two words the answer changes; a third speaks against it."""
PAIR = "I love this great day :)"
"""No single word decides, two do."""
ALONE = "Superb"
HOSTILE = 'a \u202egreat\u202c <img src=x onerror=alert(1)> \U0001f44d\U0001f3fd day \'n "q" `id` $(id) &amp; \\u0041'


def toy_service(task=TASK, explainers=(("trained", honest), ("base", liar))):
    """Return a service whose trained model is honest about its rule, and whose base model lies."""
    models = {name: explainer_of(Observed(explain, task)) for name, explain in explainers}
    return Service(models, ServiceSettings(most_characters=2000))


@pytest.fixture(scope="module")
def address():
    with running(toy_service()) as server:
        yield f"{server.url}/"


def link(address, **state):
    return f"{address}#{urlencode(state)}"


def status_of(page):
    return page.locator(".verdict").first.get_attribute("data-status")


def spoil(page, **changes):
    """Answer what the service answers, with changes in the decision."""

    def changed(route):
        answer = route.fetch().json()
        answer["decisions"][0].update(changes)
        route.fulfill(json=answer)

    page.route("**/v1/explain", changed)


def test_the_page_is_light_and_has_nothing_from_elsewhere():
    files = [
        resources.files("saywhy.serve").joinpath(f"page.{kind}").read_text("utf-8") for kind in ("html", "css", "js")
    ]
    assert sum(len(content.encode()) for content in files) < 40_000
    for content in files:
        assert not re.search(r"https?://|innerHTML|insertAdjacent|outerHTML|\beval\b|<style|style=|@import", content)


def test_type_and_explain_with_the_keyboard_alone(address, open_page):
    page = open_page(address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "text"
    page.keyboard.type(HOLDS)
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".decision")
    assert page.inner_text(".answer") == "positive"
    assert page.inner_text(".why") == "“love”"
    assert "The reason holds" in page.inner_text(".headline")
    assert page.inner_text(".message") == '"love" decides: without it the answer is negative, not positive'
    assert page.locator(".card .badge").all_inner_texts() == ["✓ holds", "✓ holds", "≈ no better than other words"]
    assert page.locator("article h3").all_inner_texts()[1:] == [
        "Takes the word out",
        "Changes a word, so that it is negative",
    ]
    while page.evaluate("!document.activeElement.matches('.word')"):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "love"  # what the model names comes first
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.textContent") == "this"
    assert "“this” speaks for positive: +0.00 nats" in page.inner_text(".detail")
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.textContent") == "sad"
    page.keyboard.press("Enter")
    page.wait_for_selector("#change h2")
    assert page.input_value("#text") == HOLDS.replace("sad", "[REDACTED]")
    assert "The answer stays: positive 82 % → positive 97 %" in page.inner_text("#change")
    assert page.evaluate("document.activeElement.textContent") == "What your edit changes"
    page.get_by_role("button", name="Put it back").press("Enter")
    page.wait_for_function("text => document.getElementById('text').value === text", arg=HOLDS)
    assert page.locator("#change ins").all_inner_texts() == ["sad"]


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
    page.locator(".verdict").get_by_text(counted).wait_for()


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
    ranks = page.evaluate("[2, 3, 4, 11, 12, 13, 21, 22, 101, 111].map((rank) => origin({ rank }).split(' ')[1])")
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


def test_a_link_restores_the_state_and_sends_none_of_it_in_an_address(address, open_page):
    first = open_page(address)
    first.fill("#text", PAIR)
    first.select_option("#effort", "self")
    first.click("#explain")
    first.wait_for_selector(".decision")
    first.fill("#text", PAIR.replace("great ", "sad "))
    first.click("#explain")
    first.wait_for_selector("#change h2")
    asked = []
    second = open_page(address)
    second.on("request", lambda request: asked.append(request.url))
    second.goto(first.text_content("#link"))
    second.reload()
    second.wait_for_selector("#change h2")
    for part in ("#change", ".strip", ".words", "#curl"):
        assert second.text_content(part) == first.text_content(part)
    assert second.input_value("#effort") == "self"
    assert asked
    assert not [url for url in asked if "love" in url.partition("#")[0]]
    first.go_back()
    first.wait_for_selector("#change h2", state="detached")
    assert first.input_value("#text") == PAIR
    first.go_back()
    first.wait_for_selector(".decision", state="hidden")


@pytest.mark.parametrize(
    "fragment", ["#text=day+is+great&effort=most&model=other&answer=maybe&c.x=1", "#%E0%A4%A", "#text="]
)
def test_a_link_of_another_service_is_taken_as_far_as_it_goes(address, open_page, fragment):
    page = open_page(address + fragment)
    page.wait_for_selector("#explain:not([disabled])")
    assert page.input_value("#effort") == "search"
    assert page.input_value("#model") == "trained"
    assert page.input_value("#answer") == ""
    page.wait_for_selector("#busy", state="hidden")
    assert page.locator(".decision").count() == (1 if "great" in fragment else 0)


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


def problem(status, message):
    return {"status": status, "json": {"error": {"type": "a type", "message": message}}}


FAILURES = [
    (problem(422, "the text is <b>too</b> long"), "the text is <b>too</b> long"),
    (problem(500, "out of memory"), "The service failed: out of memory"),
    ({"status": 502, "body": "<html>Bad gateway</html>"}, "The service failed: it answered with HTTP 502"),
    ({"status": 200, "body": "<html>Log in</html>"}, "The service failed: it answered with HTTP 200"),
    ({"status": 200, "json": {"schema": 2, "decisions": [{}]}}, "The service is of another version than this page"),
    ({"status": 200, "json": {"schema": 1, "decisions": []}}, "The service is of another version than this page"),
    (None, "The service cannot be reached. Is it still running?"),
]


def fail(page, answer):
    page.route("**/v1/explain", lambda route: route.fulfill(**answer) if answer else route.abort())


def test_errors_are_said_in_plain_words_and_can_be_tried_again(address, open_page):
    page = open_page(address)
    page.fill("#text", HOLDS)
    for answer, shown in FAILURES:
        fail(page, answer)
        page.click("#explain")
        page.get_by_role("alert").get_by_text(shown).wait_for()
        assert page.input_value("#text") == HOLDS
        page.unroute("**/v1/explain")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector(".decision")
    assert page.get_by_role("alert").inner_text() == ""


def test_a_busy_service_says_when_to_come_again(address, open_page):
    page = open_page(address)
    busy = {"status": 429, "headers": {"Retry-After": "1"}, "json": {"error": {"type": "busy", "message": "full"}}}
    page.route("**/v1/explain", lambda route: route.fulfill(**busy), times=1)
    page.fill("#text", HOLDS)
    page.click("#explain")
    page.wait_for_selector("text=The service is busy with other texts.")
    assert page.get_by_role("button", name="Try again in 1 s").is_disabled()
    page.click("button:has-text('Try again'):enabled")
    page.wait_for_selector(".decision")


def test_nothing_and_too_much_are_not_sent(address, open_page):
    page = open_page(address)
    page.route("**/v1/explain", lambda route: pytest.fail("it was sent"))
    page.fill("#text", "  \n")
    page.click("#explain")
    assert "There is no text yet" in page.get_by_role("alert").inner_text()
    page.fill("#text", "\U0001f44d" * 2001)
    page.click("#explain")
    assert "That has 2001 characters; this service takes 2000." in page.get_by_role("alert").inner_text()


def test_the_time_passed_is_shown_and_asking_can_be_stopped(address, open_page):
    page = open_page(address)
    page.route("**/v1/explain", lambda route: None)  # no answer, ever
    page.fill("#text", HOLDS)
    page.click("#explain")
    page.wait_for_function("() => parseFloat(document.getElementById('clock').textContent) >= 0.2")
    assert page.locator("#status").inner_text() == "Asking the model"
    assert page.locator("#results").get_attribute("aria-busy") == "true"
    page.click("#stop")
    page.wait_for_selector("#busy", state="hidden")
    assert page.get_by_role("alert").inner_text() == ""


def test_a_token_is_asked_for_and_is_in_no_link(open_page):
    with running(toy_service(), "s3cret-token") as server:
        page = open_page(link(f"{server.url}/", text=HOLDS))
        page.fill("#token", "wrong")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=The service does not take this token.")
        page.fill("#token", "s3cret-token")
        page.keyboard.press("Enter")
        page.wait_for_selector(".decision")
        assert page.locator("#token-form").is_hidden()
        assert "s3cret-token" not in page.content() + page.url
        assert "Bearer $SAYWHY_TOKEN" in page.text_content("#curl")
        page.reload()  # kept for this tab
        page.wait_for_selector(".decision")


def test_other_fields_of_a_task_are_asked_for_and_restored(open_page):
    task = TASK.model_copy(update={"context": {"premise": "Premise"}, "name": "pairs"})
    with running(toy_service(task, [("base", honest)])) as server:
        page = open_page(f"{server.url}/")
        page.get_by_label("premise").fill("Two dogs sleep.")
        page.fill("#text", PAIR)
        page.click("#explain")
        page.wait_for_selector(".decision")
        assert page.locator("#model-field, #example-field").locator("visible=true").count() == 0
        again = open_page(page.text_content("#link"))
        again.wait_for_selector(".decision")
        assert again.get_by_label("premise").input_value() == "Two dogs sleep."


def test_what_is_copied(address, open_page):
    page = open_page(link(address, text=HOLDS), permissions=["clipboard-read", "clipboard-write"])
    page.wait_for_selector(".decision")
    for name in ("link", "JSON", "curl"):
        page.get_by_role("button", name=f"Copy {name}").click()
        page.wait_for_selector("#copied:has-text('Copied.')")
        assert page.evaluate("navigator.clipboard.readText()") == page.text_content(f"#{name.lower()}")
    assert json.loads(page.text_content("#json"))["text"] == HOLDS
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed')); }")
    page.click("#copy-curl")
    page.wait_for_selector("#copied:has-text('copy it by hand')")
    assert page.evaluate("getSelection().toString()").startswith("curl -sS http")


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
        "for (const sign of ['for', 'against']) for (const level of [1, 2, 3, 4])"
        " document.querySelector('.words').append(el(`button.word.${sign}.level-${level}`, 'word'))"
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


def test_examples_are_picked_and_asked(open_page):
    with running(toy_service(TASK.model_copy(update={"name": "sentiment140"}))) as server:
        page = open_page(f"{server.url}/")
        page.wait_for_selector("#explain:enabled")
        assert page.locator("#example option").count() == 7
        page.select_option("#example", "2")
        picked = page.input_value("#text")
        assert picked
        page.click("#explain")
        page.wait_for_selector(".decision")
        assert page.inner_text(".words") == picked
