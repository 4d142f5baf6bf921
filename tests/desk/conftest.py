"""What tests of the desk share: a database with people and comments in it."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("argon2")

from desks import Bench
from people import Person
from servers import running
from sqlalchemy import update

from giantkiller.desk import staff
from giantkiller.desk.config import change_settings
from giantkiller.desk.tables import tasks
from giantkiller.store import open_store, utc_now


@pytest.fixture
def desk(tmp_path):
    """A desk on SQLite where nothing is decided twice by chance."""
    store = open_store(tmp_path)
    bench = Bench(store)
    bench.settings(second_share=0.0)
    yield bench
    store.close()


@pytest.fixture(scope="session")
def postgresql():
    """The URL of a PostgreSQL server of the tests' own, where Debian's or another's programs are."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    programs = found[-1].parent if found else None
    if programs is None and (which := shutil.which("initdb")):
        programs = Path(which).parent
    if programs is None:
        pytest.skip("no PostgreSQL server here (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg")
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
            for _ in range(200):
                ready = subprocess.run(
                    [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port)], capture_output=True
                )
                if ready.returncode == 0:
                    break
                time.sleep(0.1)
            yield f"postgresql://desk@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait(30)


@pytest.fixture
def empty_postgresql(postgresql):
    """The same server's database, emptied."""
    import psycopg

    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return postgresql


@pytest.fixture(params=["sqlite", "postgresql"])
def any_desk(request, tmp_path):
    """A desk on each database."""
    url = request.getfixturevalue("empty_postgresql") if request.param == "postgresql" else None
    store = open_store(tmp_path, url)
    bench = Bench(store)
    bench.settings(second_share=0.0)
    yield bench
    store.close()


class Site:
    """A running service with its desk, and people at it."""

    def __init__(self, server):
        self.server = server
        self.url = server.url
        self.store = server.service.store

    def invite(self, role):
        with self.store.write() as connection:
            return staff.invite(connection, role, None, now=utc_now())

    def person(self, role="moderator", name=None):
        person = Person(self.url)
        person.name = name or f"{role}-{secrets.token_hex(3)}"
        return person.join(self.invite(role), person.name)

    def settings(self, **changes):
        with self.store.write() as connection:
            change_settings(connection, changes, "test", now=utc_now())

    def submit(self, text="You stupid idiot", **more):
        response = self.server.post("/v1/desk/items", {"text": text, **more})
        assert response.status_code in (200, 201), response.text
        return response.json()

    def state(self, submitted):
        got = self.server.client.get(f"/v1/desk/items/{submitted['id']}", headers=self.server.bearer)
        return got.json()["state"]

    def messages(self):
        got = self.server.client.get("/v1/desk/messages", headers=self.server.bearer)
        return got.json()["messages"]

    def clear(self):
        """Close what waits, so that each test sees only its own."""
        with self.store.write() as connection:
            connection.execute(update(tasks).values(open=False, lease_by=None, lease_until=None))


@pytest.fixture(scope="session")
def shared_site(tiny_bundle, tmp_path_factory):
    from giantkiller.desk.app import compose

    with running(compose, model=str(tiny_bundle), state=tmp_path_factory.mktemp("desk")) as server:
        site = Site(server)
        site.settings(second_share=0, undo_seconds=0)
        yield site


@pytest.fixture
def site(shared_site):
    """The service with its desk, nothing waiting."""
    shared_site.clear()
    return shared_site
