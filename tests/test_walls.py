"""The walls of the design: what may import what."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import giantkiller

PACKAGE = Path(giantkiller.__file__).parent
WORKSHOP = ("training", "evaluation", "export", "models", "dendrites", "data")
HOUSE = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if path.relative_to(PACKAGE).parts[0] not in (*WORKSHOP, "cli", "cluster.py", "desk")
)
SERVICE = {  # what the extra "serve" brings, and the rooms that need it
    "serve": {
        "starlette",
        "uvicorn",
        "anyio",
        "msgspec",
        "prometheus_client",
        "pydantic",
        "pydantic_settings",
    }
    | {"platformdirs", "sqlalchemy", "pycld2", "tomli"},
    "store": {"sqlalchemy", "alembic"},
}
CORE = {"numpy", "onnxruntime", "tokenizers", "click", "tqdm"}
OPTIONAL = {"huggingface_hub", "pyarrow"}  # imported where needed, and missed in one sentence


def imports(path):
    """Every module that a file names in an import, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            if node.module == "giantkiller":
                yield from (f"giantkiller.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", HOUSE, ids=[str(path.relative_to(PACKAGE)) for path in HOUSE])
def test_the_house_imports_neither_workshop_nor_torch(path):
    room = path.relative_to(PACKAGE).parts[0]
    for name in imports(path):
        top, *rest = name.split(".")
        if top == "giantkiller":
            assert not rest or rest[0] not in WORKSHOP, name
            assert not rest or rest[0] not in SERVICE or room in SERVICE, name
        else:
            assert top in CORE | OPTIONAL | SERVICE.get(room, set()) | sys.stdlib_module_names, name


def test_importing_the_package_loads_nothing_heavy():
    program = "import sys, giantkiller; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert not {"numpy", "onnxruntime", "tokenizers", "torch", "click"} & set(loaded.split())


@pytest.mark.parametrize("name", giantkiller.__all__)
def test_what_the_package_exports_is_there(name):
    assert getattr(giantkiller, name) is not None
    assert name in dir(giantkiller)


def test_scoring_leaves_nothing_in_the_home_folder(tiny_bundle, tmp_path):
    """onnxruntime would keep a device ID there for its telemetry."""
    program = f"from giantkiller import Screener; Screener({str(tiny_bundle)!r}).predict('hi')"
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    homes = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment | homes, capture_output=True, check=True
    )
    assert done.stderr == b""
    assert list(tmp_path.rglob("*")) == []


def test_scoring_loads_neither_torch_nor_the_hub(tiny_bundle):
    program = (
        "import sys; from giantkiller import Screener; "
        f"Screener({str(tiny_bundle)!r}).predict('hi'); print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    heavy = {"torch", "transformers", "huggingface_hub", "pyarrow", "pandas", "sklearn", "requests", "httpx"}
    assert not heavy & set(loaded.split())
