"""A PostgreSQL server of one's own on loopback, by the programs of Debian or another system."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path


def find_programs():
    """Return the folder of a server's programs, or None where there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    which = shutil.which("initdb")
    return Path(which).parent if which else None


@contextmanager
def postgresql_server():
    """Start a server with an empty database in a temporary folder; gives its URL."""
    programs = find_programs()
    as_postgres = []
    with tempfile.TemporaryDirectory(prefix="giantkiller-pg-", dir="/tmp") as folder:
        if os.geteuid() == 0:  # the server refuses to run as root
            as_postgres = ["runuser", "-u", "postgres", "--"]
            shutil.chown(folder, "postgres")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        subprocess.run(
            [*as_postgres, programs / "initdb", "-D", f"{folder}/data", "-A", "trust", "-U", "desk"],
            check=True, capture_output=True, cwd="/",
        )  # fmt: skip
        server = subprocess.Popen(
            [*as_postgres, programs / "postgres", "-D", f"{folder}/data", "-p", str(port),
             "-c", "listen_addresses=127.0.0.1", "-k", folder],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
        )  # fmt: skip
        try:
            wait_for(programs, port)
            yield f"postgresql://desk@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait(30)


def wait_for(programs, port):
    """Wait until the server answers."""
    for _ in range(200):
        ready = [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
        if subprocess.run(ready, capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    raise AssertionError("the PostgreSQL server never answered")


def empty(url):
    """Empty a database."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
