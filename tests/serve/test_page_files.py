"""What the page is made of: a few small files of its own, which a browser gets without a token."""

import re
from contextlib import closing
from importlib import resources
from xml.etree import ElementTree

from starlette.testclient import TestClient

from saywhy.serve.app import PAGE_FILES, service_app
from served import Observed, problem, service_of

NAMESPACE = "http://www.w3.org/2000/svg"
"""Of a picture: an address by its look only."""


def test_the_page_is_light_and_has_nothing_from_elsewhere():
    folder = resources.files("saywhy.serve").joinpath("page")
    assert {file.name for file in folder.iterdir()} == {name for name, _ in PAGE_FILES.values()}
    contents = [file.read_text("utf-8") for file in folder.iterdir()]
    assert sum(len(content.encode()) for content in contents) < 45_000
    for content in contents:
        content = content.replace(f'xmlns="{NAMESPACE}"', "")
        assert not re.search(r"https?://|innerHTML|insertAdjacent|outerHTML|\beval\b|<style|style=|@import", content)


def test_the_page_may_load_nothing_from_elsewhere(client, tmp_path, monkeypatch):
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "page.html").write_text("<!DOCTYPE html>", "utf-8")
    monkeypatch.setattr(resources, "files", lambda package: tmp_path)
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert problem(client.get("/page.js"), 404)["type"] == "not_found"


def test_the_page_and_its_icon_need_no_token():
    with closing(service_of(Observed())) as service, TestClient(service_app(service, "s3cret")) as client:
        for route, (_, kind) in PAGE_FILES.items():
            answer = client.get(route)
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith(kind)
        icon = ElementTree.fromstring(client.get("/favicon.ico").content)
        assert client.get("/service.py").status_code == 401
    assert icon.tag == f"{{{NAMESPACE}}}svg"
    assert len(ElementTree.tostring(icon)) < 1000
