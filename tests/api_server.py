"""A server of chat completions that answers by a rule, or as broken ones do: what the API tests share."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from moods import PINNED, RULE, TASK
from saywhy.models.interface import Choice
from saywhy.models.scripted import ScriptedModel, honest

ASKS_ALONE = "\nReply with one of these words alone: "
TRIAL = "What is the capital of France?"
KEY_CANARY = "sk-canary-0123456789"
"""A key that must stand in no message and no file."""


class RuleServer:
    """A server whose model decides moods by the keyword rule and explains itself by a script.

    Attributes:
        way: How it takes a lead-in: prefilled, continued, forced or asked; ``plain`` gives no log-probabilities.
        listed: How many tokens it lists at most.
        tokens: What the label words begin with, where they are no tokens.
        requests: The bodies that it was sent, in order.
        failures: What is done in place of answering, one a request: a function of the handler.
        every: The same for every request; None: it answers.
    """

    def __init__(self, way="continued", explain=honest, task=TASK):
        self.way, self.listed, self.tokens, self.task = way, 20, {}, task
        self.toy = ScriptedModel("toy", task, RULE, explain, PINNED)
        self.requests, self.keys, self.failures, self.every = [], [], [], None
        self.lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server.lock:
                    server.requests.append(body)
                    server.keys.append(self.headers["Authorization"])
                    fail = server.failures.pop(0) if server.failures else server.every
                (fail or server.answer)(self, body)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        self.model = f"openai:toy@{self.url}"

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def answer(self, handler, body):
        send(handler, 200, self.completion(body))

    def completion(self, body):
        messages, unknown = body["messages"], set(body) & {"grammar", "continue_final_message"}
        if unknown and self.way in ("asked", "plain"):
            return _body(messages[0]["content"], None)  # as if it had not been told
        if "grammar" in body and self.way == "forced":
            beginning = json.loads(body["grammar"].removeprefix("root ::= ").removesuffix(" [^\\n]"))
            words = [word if number == 0 else f" {word}" for number, word in enumerate(beginning.split(" "))]
            return self._listing(messages, [*words, None], body, beginning)
        if messages[-1]["role"] == "assistant":
            if self.way == ("continued" if "continue_final_message" in body else "prefilled"):
                return self._listing(messages[:-1], [None], body, messages[-1]["content"])
            return _body("", None)
        if body.get("logprobs") or len(messages) == 1:
            return self._listing(messages, [None], body)
        return _body(self.toy.generate([messages], [body["max_tokens"]])[0], None)

    def _listing(self, messages, tokens, body, begun=None):
        """Return a reply of ``tokens``, of which None is the label (or the end of the trial's sentence)."""
        text = messages[0]["content"]
        if TRIAL in text or not text.startswith(self.task.question):
            label, scores = "is", {"is": -0.1}
        else:
            plain = [{"role": "user", "content": text.partition(ASKS_ALONE)[0]}]
            written = (begun or "").removeprefix(self.task.lead_in).strip()
            [values] = self.toy.choose([Choice(plain, tuple(self.task.labels.values()), self.task.lead_in)])
            scores = self._scores(dict(zip(self.task.labels.values(), values, strict=True)), written)
            label = max(scores, key=scores.get)
        blank = "" if self.way in ("asked", "plain") or label == "is" or (begun and begun != self.task.lead_in) else " "
        listed = {blank + token: value for token, value in sorted(scores.items(), key=lambda pair: -pair[1])}
        spelled = [token if token is not None else blank + label for token in tokens]
        content = [
            {
                "token": token,
                "logprob": listed.get(token, -0.01),
                "top_logprobs": [
                    {"token": other, "logprob": value} for other, value in list(listed.items())[: self.listed]
                ],
            }
            for token in spelled
        ]
        return _body("".join(spelled), None if self.way == "plain" or not body.get("logprobs") else content)

    def _scores(self, odds, written):
        """Return the log-probabilities of the next tokens: of the label words 0.9, of a blank word the rest."""
        norm = sum(2.718281828**value for value in odds.values())
        scores = {word: 0.9 * 2.718281828**value / norm for word, value in odds.items()}
        merged = {"the": 0.05}
        for word, value in scores.items():
            token = self.tokens.get(word, word)
            if written and word.startswith(written):
                token = word.removeprefix(written)
            merged[token] = merged.get(token, 0.0) + value
        from math import log

        return {token: log(value) for token, value in merged.items()}


def _body(text, content):
    choice = {"index": 0, "message": {"role": "assistant", "content": str(text)}, "finish_reason": "stop"}
    logprobs = {} if content is None else {"logprobs": {"content": content}}
    return {"choices": [choice | logprobs], "usage": {"prompt_tokens": 30, "completion_tokens": 2}}


def send(handler, status, body, content_type="application/json", headers=()):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", content_type)
    handler.send_header("Content-Length", str(len(content)))
    for name, value in headers:
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(content)


def failing(status, body=b"", content_type="application/json", **headers):
    """Return what sends ``status``; underscores of header names stand for dashes."""
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return lambda handler, request: send(handler, status, body, content_type, named)
