"""What tests of the desk share: a database with people and comments in it."""

import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("argon2")

import argon2
from desks import Bench
from servers import running
from site_of import Site

from giantkiller.desk import staff
from giantkiller.store import open_store


@pytest.fixture(scope="session", autouse=True)
def real_hasher():
    """Hash passwords as cheaply as can be, some hundreds of them; gives how it is done in earnest."""
    real = staff._hasher
    with pytest.MonkeyPatch.context() as patch:
        cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(staff, "_hasher", lambda: cheap)
        yield real


@pytest.fixture
def desk(tmp_path):
    """A desk on SQLite where nothing is decided twice by chance."""
    store = open_store(tmp_path)
    bench = Bench(store)
    bench.settings(second_share=0.0)
    yield bench
    store.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def any_desk(request, tmp_path):
    """A desk on each database; on PostgreSQL with the slow tests, for all of its migrations run for each."""
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
