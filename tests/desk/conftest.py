"""What tests of the desk share: a database with people and comments in it."""

import os
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
from servers import running
from site_of import Site

from giantkiller.store import open_store


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
