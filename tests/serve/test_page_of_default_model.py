"""The page over the built-in model, as `saywhy serve` starts it; SAYWHY_SCREENSHOTS=1 renews those of docs/page.md."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

import pytest
from PIL import Image

IMAGES = Path(__file__).parents[2] / "docs" / "images"
MOST_BYTES = 200_000
HOLDS = "my bike came in the post today, the lamp is awful"
PAIR = "I'm brilliant at darts and I still hate the club nights."


@pytest.fixture(scope="module")
def address():
    """Start the service on a free port; yield its address."""
    command = [sys.executable, "-m", "saywhy", "serve", "port=0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        announcement = next(line for line in process.stderr if "answers at http" in line)
        yield f"{announcement.split()[3]}/"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def take_picture(tmp_path):
    """Return a function that takes the picture of a page, into docs/images/ only where that is wanted."""
    folder = IMAGES if os.environ.get("SAYWHY_SCREENSHOTS") else tmp_path

    def take(page, name, **options):
        page.mouse.move(0, 0)
        page.evaluate("() => { scrollTo(0, 0); document.activeElement.blur(); }")
        folder.mkdir(exist_ok=True)
        pixels = page.screenshot(**options)
        Image.open(io.BytesIO(pixels)).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(
            folder / name, optimize=True
        )
        assert 5_000 < (folder / name).stat().st_size < MOST_BYTES

    return take


def agrees(page):
    """Whether the page shows what the service answered."""
    decision = json.loads(page.text_content("#json"))
    verdict = page.locator(".verdict")
    assert verdict.get_attribute("data-status") == decision["check"]["status"]
    assert page.inner_text(".answer") == decision["label_words"][decision["label"]]
    assert page.inner_text(".message") == decision["message"]
    assert page.inner_text(".words") == decision["text"]
    assert page.locator(".words .word").count() >= len(decision["effects"]) > 0
    fallback = page.locator(".ruler")
    assert fallback.count() == bool(decision["fallback"])
    return decision


@pytest.mark.slow
def test_the_default_model_on_the_page(address, open_page, take_picture):
    page = open_page(address, viewport={"width": 1000, "height": 800})
    page.set_default_timeout(60_000)
    page.wait_for_selector("#explain:enabled")
    page.select_option("#effort", "search")
    page.fill("#text", HOLDS)
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".decision")
    first = agrees(page)
    take_picture(page, "page-light.png", full_page=True)

    page.locator(".words .word", has_text="awful").click()
    page.wait_for_selector("#change h2")
    edited = agrees(page)
    assert edited["text"] == HOLDS.replace("awful", "[REDACTED]")
    effect = next(effect for effect in first["effects"] if effect["word"] == "awful")
    assert edited["label"] == effect["label_without"]  # the same edit is the same number everywhere

    page = open_page(
        f"{address}#{urlencode({'text': PAIR, 'effort': 'search'})}",
        color_scheme="dark",
        viewport={"width": 1000, "height": 800},
    )
    page.set_default_timeout(60_000)
    page.wait_for_selector(".decision")
    agrees(page)
    take_picture(page, "page-dark.png", full_page=True)

    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 360, "height": 1560})
    take_picture(page, "page-phone.png")
