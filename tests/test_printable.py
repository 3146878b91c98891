"""What others wrote is shown, not obeyed: by terminals, Markdown pages, spreadsheets and LaTeX."""

import ast
import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

import saywhy
from saywhy.printable import in_one_line, printable
from saywhy.progress import PlainConsole, say
from saywhy.report.format import sheet_of
from saywhy.report.study.latex import escape, latex_table
from saywhy.report.tables import code_span, csv_text, escaped_markdown, fenced_block

OBEYED = "\x1b\x07\x9b\r\u202e\u2066\u2069\x08\U000e0041"
ESCAPES = (
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\x9b2J",
    "line\rover",
    "left\u202eright",
    "\u2066isolated\u2069",
    "back\x08space",
    "tag\U000e0041",
)


@pytest.mark.parametrize("text", ESCAPES)
def test_no_text_is_obeyed_by_a_terminal(text, capsys):
    terminal = PlainConsole(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=200)
    terminal.print(Text(text, "bold"))
    shown = terminal.file.getvalue()
    assert shown.startswith("\x1b[1m"), "its own styles stay"
    pieces = shown.removeprefix("\x1b[1m").rstrip("\n").removesuffix("\x1b[0m")
    assert not set(pieces) & set(OBEYED)  # some rich leaves out itself
    assert pieces.replace("\ufffd", "") == printable(text).replace("\ufffd", "")
    assert not set(printable(text)) & set(OBEYED)
    say(f"wrote {text}")
    assert not set(capsys.readouterr().err) & set(OBEYED)


def test_letters_of_every_script_stay():
    text = "café Ελλάδα नमस्ते שלום 你好 👩‍👧 \u200cبه\tx\ny"  # noqa: RUF001
    assert printable(text) == text


@given(st.text(max_size=60))
def test_what_is_printable_stays_so(text):
    once = printable(text)
    assert printable(once) == once
    assert len(once) == len(text)
    once.encode("utf-8")
    assert len(in_one_line(text, 20).splitlines()) <= 1


def test_everything_is_printed_through_one_console():
    for path in Path(saywhy.__file__).parent.rglob("*.py"):
        calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "Console"], path


@pytest.mark.parametrize(
    "words",
    [
        ("report", "\x1b[31mnowhere"),
        ("run", "task=\x1b]0;x\x07"),
        ("run", "\x1b[2Jmodle=x"),
        ("run", "--\x1b[31m"),
        ("\x1b[31mrun",),
        ("explain", "two words", "task=\u202esnli"),
    ],
)
def test_an_error_names_what_was_written_without_obeying_it(call, monkeypatch, tmp_path, words):
    monkeypatch.chdir(tmp_path)
    said = call(*words)
    assert said.code == 2
    assert not set(said.problem) & set("\x1b\x07\u202e")


@pytest.mark.parametrize(
    "words", [("reprot", "x"), ("report",), ("run", "--drry"), ("report", "x", "--accuracy-loss=a")]
)
def test_words_that_are_not_understood_are_one_line(call, words):
    said = call(*words)
    assert said.code == 2
    assert "--help'" in said.problem
    assert len(said.err.splitlines()) == 1


def test_without_words_the_help_is_shown(call):
    said = call()
    assert said.code == 0
    assert "explain" in said.out


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("![x](http://evil.example/a.png)", r"![x\](http:\//evil.example/a.png)"),
        ("[x][1] [1]: www.evil.example", r"[x\][1] [1\]: www\.evil.example"),
        ("[a [b]](x) [REDACTED]", r"[a [b]\](x) [REDACTED]"),
        ("# head", r"\# head"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("---", r"\---"),
        ("~~~ html", r"\~\~\~ html"),
        ("``` <b>", r"\`\`\` &lt;b&gt;"),
        ("&lt;b&gt; R&D", "&amp;lt;b&amp;gt; R&D"),
        ("a $x^2$", r"a \$x^2\$"),
        ("0.20 [0.15, 0.27] and +4.8 [-1.2, +9.1]", "0.20 [0.15, 0.27] and +4.8 [-1.2, +9.1]"),
        ("[1, 2](http://a.b)", r"[1, 2\](http:\//a.b)"),
        ("\x1b[31m", "\ufffd[31m"),
        ("-0.15", "-0.15"),
    ],
)
def test_markdown_shows_what_was_written(text, escaped):
    assert escaped_markdown(text) == escaped


def test_code_is_not_left_by_what_stands_in_it():
    assert code_span("a_b") == "`a_b`"
    assert code_span("a`<b>") == r"a\`&lt;b&gt;"
    block = fenced_block("about: |\n  ```\n  <img src=x>\n  `````\n", "yaml")
    assert block.splitlines()[0] == "``````yaml"
    assert block.splitlines()[-1] == "``````"


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\uff1d", " ="])
def test_a_cell_of_text_is_no_formula(sign):
    row = {"label": f"{sign}cmd|' /C calc'!A0", "number": -0.5, "text": "-0.5", "escape": "\x1b[31m", "none": None}
    [cells] = csv.DictReader(io.StringIO(csv_text([row])))
    assert cells["label"].startswith(f"'{sign}cmd")
    assert (cells["number"], cells["text"], cells["none"]) == ("-0.5", "-0.5", "")
    assert cells["escape"] == "\ufffd[31m"


@pytest.mark.parametrize("text", [r"\input{/etc/passwd}", r"\write18{ls}", "^^5cinput", "%\n\\end{table}"])
def test_latex_sets_what_was_written(text):
    escaped = escape(text)
    for command in (r"\input", r"\write", r"\end", "^", "\n"):
        assert command not in escaped.replace(r"\textasciicircum{}", "").replace(r"\textbackslash{}", "")


def test_no_table_of_latex_is_left_by_a_name():
    hostile = r"x}\input{/etc/passwd}\write18{ls}"
    table = latex_table(sheet_of(hostile, (hostile,), [[hostile]], hostile, texts=1), f"tab:{hostile}", hostile)
    assert r"\input{/" not in table
    assert r"\write18" not in table
