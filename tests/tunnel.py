"""A way for a client with a hard-wired https:// host to reach a server on loopback, without touching it.

What the client sees is a proxy, named by HTTPS_PROXY, and behind it a host of the right name with a
certificate of its own, which it trusts by REQUESTS_CA_BUNDLE.
"""

import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager, suppress

import pytest


@contextmanager
def tunnel(host, port, folder):
    """Yield the environment in which `https://host` is the server on a port of this machine."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make a certificate")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    name = ["-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}"]
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            *name,
            "-keyout",
            key,
            "-out",
            certificate,
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, context, host, port), daemon=True).start()
        yield {
            "HTTPS_PROXY": f"http://127.0.0.1:{listener.getsockname()[1]}",
            "REQUESTS_CA_BUNDLE": str(certificate),
        }


def _accept(listener, context, host, port):
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, context, host, port), daemon=True).start()


def _serve(connection, context, host, port):
    with connection, suppress(OSError):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        assert head.startswith(f"CONNECT {host}:443 ".encode())
        connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        with (
            context.wrap_socket(connection, server_side=True) as outside,
            socket.create_connection(("127.0.0.1", port)) as inside,
        ):
            threading.Thread(target=_copy, args=(inside, outside), daemon=True).start()
            _copy(outside, inside)


def _copy(source, target):
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
