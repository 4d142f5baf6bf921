"""Real servers on loopback, for tests."""

import json
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import httpx
import uvicorn

from giantkiller.serve.app import create
from giantkiller.serve.keys import create_key
from giantkiller.serve.server import config_for, listen
from giantkiller.serve.service import open_service
from giantkiller.serve.settings import Settings

PROGRAM = [sys.executable, "-m", "giantkiller"]


class Running:
    """A server in a thread, with a key that may score and submit."""

    def __init__(self, service, port):
        self.service = service
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.key = self.make_key("score", "submit")
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def make_key(self, *roles, rate=None):
        with self.service.store.write() as connection:
            return create_key(connection, "test", roles, rate)

    @property
    def bearer(self):
        return {"Authorization": f"Bearer {self.key}"}

    def analyze(self, text="You idiot", key=None, **call):
        call = {"comment": {"text": text}, "requestedAttributes": {"TOXICITY": {}}, **call}
        return self.analyze_raw(json.dumps(call), key)

    def analyze_raw(self, body, key=None):
        return self.client.post("/v1alpha1/comments:analyze", params={"key": key or self.key}, content=body)

    def post(self, path, body, **more):
        return self.client.post(path, json=body, headers=self.bearer, **more)

    def raw(self, data, wait=5.0):
        """Send bytes as they are and read until the server closes or falls silent."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.settimeout(wait)
            connection.sendall(data)
            got = b""
            try:
                while part := connection.recv(65536):
                    got += part
            except (TimeoutError, ConnectionResetError):
                pass
            return got


@contextmanager
def running(make=create, **settings):
    settings = Settings(port=0, **{"log_level": "info", **settings})
    listener = listen(settings.host, 0)
    settings = settings.model_copy(update={"port": listener.getsockname()[1]})
    service = open_service(settings)
    server = uvicorn.Server(config_for(settings, make(service)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
        assert thread.is_alive()
    started = Running(service, listener.getsockname()[1])
    try:
        yield started
    finally:
        started.client.close()
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@contextmanager
def serving(bundle, state, *flags):
    """Run `giantkiller serve`; gives (process, address, key or None)."""
    log = (state.parent / f"{state.name}.log").open("ab")
    process = subprocess.Popen(
        [*PROGRAM, "serve", "--port", "0", "--model", str(bundle), "--state", str(state), *flags],
        stdout=subprocess.PIPE, stderr=log, text=True,
    )  # fmt: skip
    try:
        first = process.stdout.readline()
        address = re.search(r"http://\S+(?=,)", first)[0]
        known = state.parent / f"{state.name}.known"
        second = process.stdout.readline() if "--open" in flags or not known.exists() else ""
        known.touch()
        wait_for(address)
        yield process, address, second.rpartition(" ")[2].strip()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()
        log.close()


def wait_for(address):
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            if httpx.get(f"{address}/readyz", timeout=30).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.02)
    raise AssertionError("the server never became ready")


def error_of(response, code):
    """Check that a response is an error in the contract's shape, and give it."""
    assert response.status_code == code, response.text
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["status"]
    assert error["details"][0]["@type"].startswith("type.googleapis.com/")
    return error
