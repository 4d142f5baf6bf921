"""A real receiver of webhooks on loopback."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer


class Receiver:
    """A webhook's receiver, down for as long as `down`."""

    def __init__(self):
        self.got, self.down, self.tries = [], False, 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.tries += 1
                if not outer.down:
                    outer.got.append((dict(self.headers), body))
                self.send_response(500 if outer.down else 204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def messages(self):
        return [json.loads(body) for _, body in self.got]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def wait_for(condition, seconds=15):
    for _ in range(seconds * 20):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("that never came")
