"""A bot for Mastodon's moderators: it reports posts that call for a look, and does nothing else.

Mastodon tells it of each new post by a webhook (Administration > Webhooks, event status.created); it asks
`giantkiller serve` what to do, and files a report as an account of its own. People decide.

    export MASTODON_URL=https://social.example           # your server
    export MASTODON_TOKEN=...                            # the bot account's, with the scope write:reports
    export MASTODON_SECRET=...                           # the webhook's signing secret
    export GIANTKILLER_URL=http://127.0.0.1:8080
    export GIANTKILLER_KEY=gk_...                        # giantkiller keys create mastodon --role score
    python examples/mastodon_bot.py                      # listens on 127.0.0.1:8090

Only the standard library is needed. Put HTTPS before it if Mastodon runs elsewhere.
"""

import hashlib
import hmac
import json
import os
import queue
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MOST_BYTES = 1 << 20
MOST_CHARS = 20_480
WAITING = 10_000  # posts that may wait for a score
PUBLIC = ("public", "unlisted")  # what is written to a few is no business of a bot's


class _Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self.parts = []

    def handle_data(self, data):
        self.parts.append(data)

    def handle_starttag(self, tag, attrs):
        if tag in ("p", "br"):
            self.parts.append("\n")


def text_of(status):
    """The text of a post, its warning first, without markup."""
    parser = _Text()
    parser.feed(status.get("content") or "")
    parser.close()
    return f"{status.get('spoiler_text') or ''}\n{''.join(parser.parts)}".strip()[:MOST_CHARS]


def is_signed(secret, header, body):
    """Whether Mastodon sent a body: X-Hub-Signature is sha256= and the digest of it."""
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), (header or "").encode("utf-8", "replace"))


class Bot:
    """Judges posts one after the other, so that a burst of them waits instead of failing."""

    def __init__(self, mastodon, token, secret, service, key):
        self.mastodon, self.token, self.secret = mastodon.rstrip("/"), token, secret
        self.service, self.key = service.rstrip("/"), key
        self.waiting = queue.Queue(WAITING)

    def judge(self, text):
        """What the service's policy says to a text: {"action": ..., "attribute": ..., "score": ...}."""
        answer = self._call(f"{self.service}/v1/judge", self.key, json.dumps({"text": text}).encode())
        return answer["results"][0]

    def report(self, status, verdict):
        """File a report with the server's moderators."""
        said = f"{verdict['attribute']} {verdict['score']:.2f}: {verdict['action']} (automatic score)"
        form = {"account_id": status["account"]["id"], "status_ids[]": status["id"], "comment": said}
        body = urllib.parse.urlencode(form).encode()
        self._call(f"{self.mastodon}/api/v1/reports", self.token, body, "application/x-www-form-urlencoded")

    def handle(self, status):
        """Judge a post, and report it if a person should look."""
        text = text_of(status)
        if text and status.get("visibility") in PUBLIC:
            verdict = self.judge(text)
            if verdict["action"] in ("review", "remove"):
                self.report(status, verdict)

    def work(self):
        """Handle what waits, for ever; what fails is told, without the post's text."""
        while True:
            status = self.waiting.get()
            try:
                self.handle(status)
            except (OSError, ValueError, KeyError, TypeError) as error:
                print(f"post {status.get('id')}: {type(error).__name__}: {error}"[:200], file=sys.stderr)
            finally:
                self.waiting.task_done()

    def _call(self, address, token, body, kind="application/json"):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        request = urllib.request.Request(address, body, headers, method="POST")
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)


def handler(bot):
    """Make the class that takes Mastodon's webhooks for a bot."""

    class Webhook(BaseHTTPRequestHandler):
        timeout = 10

        def do_POST(self):
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > MOST_BYTES:
                return self.answer(413)
            body = self.rfile.read(int(length))
            if not is_signed(bot.secret, self.headers.get("X-Hub-Signature"), body):
                return self.answer(401)
            try:
                event = json.loads(body)
                if event["event"] in ("status.created", "status.updated"):
                    bot.waiting.put_nowait(dict(event["object"]))
            except (ValueError, KeyError, TypeError, RecursionError):
                return self.answer(400)
            except queue.Full:
                return self.answer(503)  # Mastodon tries again later
            return self.answer(202)

        def answer(self, status):
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    return Webhook


def serve(bot, port=8090):
    """Return a server on loopback; the bot works as long as the process lives."""
    threading.Thread(target=bot.work, daemon=True).start()
    return ThreadingHTTPServer(("127.0.0.1", port), handler(bot))


def main():
    names = ("MASTODON_URL", "MASTODON_TOKEN", "MASTODON_SECRET", "GIANTKILLER_URL", "GIANTKILLER_KEY")
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        sys.exit(f"set {', '.join(missing)} in the environment; the top of {sys.argv[0]} says what they are")
    serve(Bot(*(os.environ[name] for name in names))).serve_forever()


if __name__ == "__main__":
    main()
