"""Servers that tests of the service share."""

import pytest

pytest.importorskip("starlette")

from servers import running


@pytest.fixture(scope="session")
def server(tiny_bundle, tmp_path_factory):
    """The service as it is by default."""
    with running(model=str(tiny_bundle), state=tmp_path_factory.mktemp("state")) as started:
        yield started


@pytest.fixture
def serve(tiny_bundle, tmp_path):
    """Start a server with settings of a test's own."""
    return lambda **settings: running(**{"model": str(tiny_bundle), "state": tmp_path / "state", **settings})
