"""A browser for the page, where there is one, and what each page of it may not do."""

import shutil

import pytest
from starlette.testclient import TestClient
from toy_page import toy_service

from saywhy.serve.app import service_app
from served import Observed, running, service_of

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")  # while it runs, this thread has an event loop, which other tests may not want
def chromium():
    """Yield Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(chromium):
    """Return a function that opens an address; what the page's own code and policy complain about fails the test."""
    contexts, complaints = [], []

    def open_address(address, **settings):
        context = chromium.new_context(**{"viewport": {"width": 1100, "height": 800}, **settings})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.on("dialog", lambda dialog: (complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.goto(address)
        return page

    yield open_address
    for context in contexts:
        context.close()
    # An answer of 4xx or 5xx is a line of the console as well; that is not a fault of the page.
    assert [line for line in complaints if not line.startswith("Failed to load resource")] == []


@pytest.fixture(scope="module")
def address():
    """Yield the address of the page over an honest model and, beside it, one that lies."""
    with running(toy_service()) as server:
        yield f"{server.url}/"


@pytest.fixture
def model():
    """Return a model of a known rule."""
    return Observed()


@pytest.fixture
def client(model):
    """Yield a client of its service."""
    service = service_of(model, most_texts=8, most_characters=200, timeout=20)
    with TestClient(service_app(service)) as client:
        yield client
    service.close()
