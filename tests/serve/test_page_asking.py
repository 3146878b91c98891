"""The page in a browser: how one asks, what is said where that fails, what links and copies hold."""

import json

import pytest
from toy_page import ALONE, HOLDS, LONG, PAIR, link, toy_service

from moods import TASK
from saywhy.models.scripted import honest
from served import running


def test_what_is_typed_before_the_service_answers_stays(address, open_page):
    page, waiting = open_page(address), []
    page.route("**/v1/task", lambda route: waiting.append(route))
    page.reload(wait_until="domcontentloaded")
    page.locator("#text").press_sequentially(HOLDS)
    while not waiting:
        page.wait_for_timeout(20)
    waiting[0].continue_()
    page.wait_for_selector("#explain:enabled")
    assert page.input_value("#text") == HOLDS
    assert page.locator(".decision").count() == 0, "nothing is asked before it is sent"


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


@pytest.mark.parametrize("effort", ["self", "repair", "search"])
def test_the_page_begins_with_the_effort_of_the_service_unless_the_link_says_another(open_page, effort):
    with running(toy_service(effort=effort)) as server:
        page = open_page(link(f"{server.url}/", text=PAIR))
        page.wait_for_selector(".decision")
        assert page.input_value("#effort") == effort
        assert json.loads(page.text_content("#json"))["effort"] == effort
        other = "self" if effort == "search" else "search"
        linked = open_page(link(f"{server.url}/", text=PAIR, effort=other))
        linked.wait_for_selector(".decision")
        assert linked.input_value("#effort") == other
        assert json.loads(linked.text_content("#json"))["effort"] == other


def test_every_word_is_shaded_where_that_is_asked_for(open_page):
    with running(toy_service(effort="repair")) as server:
        page = open_page(link(f"{server.url}/", text=LONG, model="both", before=f"{LONG} sad"))
        shade = page.get_by_role("button", name="Shade every word")
        shade.first.wait_for()
        assert shade.count() == 2  # one a model
        shade.last.press("Enter")
        page.wait_for_function("() => document.getElementById('link').textContent.includes('effort=search')")
        assert [decision["effort"] for decision in json.loads(page.text_content("#json"))] == ["search"] * 2
        assert shade.count() == page.locator(".words .unknown").count() == 0
        assert page.evaluate("document.querySelectorAll('.words-head')[1] === document.activeElement")
        assert page.input_value("#effort") == "search"
        assert page.locator("#change h2").count() == 1  # what it is compared with stays
        page.go_back()
        shade.first.wait_for()
        assert page.input_value("#effort") == "repair"


@pytest.mark.parametrize(
    "state", [{"text": ALONE}, {"text": LONG, "effort": "search"}, {"text": "great food", "effort": "repair"}]
)
def test_nothing_is_offered_where_no_more_words_can_be_shaded(open_page, state):
    with running(toy_service(effort="repair")) as server:
        page = open_page(link(f"{server.url}/", **state))
        page.wait_for_selector(".decision")
        assert page.get_by_role("button", name="Shade every word").count() == 0


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
