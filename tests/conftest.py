"""What tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real labelled comments, where a developer has them; tests that need them skip elsewhere."""
    named = os.environ.get("GIANTKILLER_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "civil_val.parquet").exists():
        pytest.skip("no labelled comments here (set GIANTKILLER_DATA to a folder that has them)")
    return folder
