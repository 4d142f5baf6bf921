import ast
import subprocess
import sys
from pathlib import Path

import pytest

import giantkiller.dendrites

OPTIONAL = {"matplotlib", "safetensors", "transformers"}


def imported(file):
    """Names of the modules that a file imports, and whether at its top."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            yield name, node in tree.body


def test_the_package_needs_torch_and_nothing_of_the_project():
    files = sorted(Path(giantkiller.dendrites.__file__).parent.glob("*.py"))
    assert len(files) > 10
    for file in files:
        for name, at_top in imported(file):
            root = name.split(".")[0]
            if root == "giantkiller":
                assert name.startswith("giantkiller.dendrites"), f"{file.name} imports {name}"
            elif root not in sys.stdlib_module_names and root != "torch":
                assert root in OPTIONAL, f"{file.name} imports {name}"
                assert not at_top, f"{file.name} imports {name} for everybody"


def test_the_files_that_checkpoints_carry_need_nothing_but_torch_and_each_other():
    carried = {"exceptions", "layers", "sparse"}
    for name in carried:
        file = Path(giantkiller.dendrites.__file__).with_name(f"{name}.py")
        for module, _ in imported(file):
            *package, last = module.split(".")
            root = module.split(".")[0]
            own = package == ["giantkiller", "dendrites"] and last in carried
            assert own or root in {"torch", *sys.stdlib_module_names}, f"{name}.py imports {module}"


@pytest.mark.slow
def test_importing_it_imports_no_optional_package():
    code = "import sys, giantkiller.dendrites; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not OPTIONAL & set(run.stdout.split())
