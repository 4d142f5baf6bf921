"""A small bundle, and the decisions of a site."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from adapted import build_base, site_rows, write_rows


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    return build_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    return write_rows(tmp_path_factory.mktemp("site") / "decisions.csv", site_rows())
