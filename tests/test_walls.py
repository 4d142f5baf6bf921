"""The walls of the design: which room may import which."""

import ast
import os
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import giantkiller

PACKAGE = Path(giantkiller.__file__).parent

# A room is a module or a package right below giantkiller; here is what each may import of the others. The
# house scores comments; the workshop makes models; everything else is built on the house.
HOUSE = {
    "attributes": "",
    "errors": "",
    "runtime": "",
    "batching": "",
    "cleaning": "",
    "atomic": "errors",
    "calibration": "attributes",
    "policy": "attributes errors",
    "encoding": "cleaning errors",
    "bundle": "atomic attributes calibration errors policy",
    "explain": "attributes cleaning encoding errors",
    "screener": "attributes batching bundle calibration encoding errors explain policy runtime",
}
house = " ".join(HOUSE)
LOADING = f"{house} loading"
WORKSHOP = {
    "dendrites": "",  # a library of its own
    "models": f"{house} dendrites",
    "data": f"{house} files",
    "training": f"{house} data dendrites files models",
    "evaluation": f"{house} data files models",
    "export": f"{house} data dendrites evaluation models",
    "adapt": f"{house} data dendrites evaluation export models training",
}
OTHERS = {
    "loading": f"{house} models",  # and torch with it, but only for a checkpoint
    "files": house,
    "cluster": f"{house} files",
    "frames": LOADING,
    "speed": f"{LOADING} files",
    "store": house,
    "serve": f"{LOADING} store",
    "desk": f"{house} serve store",
    "cli": f"{LOADING} {' '.join(WORKSHOP)} cluster desk files serve speed store",
    "__init__": LOADING,
    "__main__": "cli",
}
ALLOWED = {room: set(rooms.split()) for room, rooms in (HOUSE | WORKSHOP | OTHERS).items()}

CORE = {"numpy", "onnxruntime", "tokenizers", "click", "tqdm"}
OPTIONAL = {"huggingface_hub", "tomli"}  # imported where needed, and missed in one sentence
HEAVY = {"torch", "transformers", "safetensors", "accelerate", "datasets", "onnx", "sklearn", "scipy"}
DOCUMENTED = {
    "_asdict",
    "_fields",
    "_mapping",
    "_parameters",
}  # of other libraries

FILES = sorted(PACKAGE.rglob("*.py"))


@cache
def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def nodes_of(path):
    """Every node of a file's tree; the file's own first."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def is_for_checkers(node):
    """Whether a node stands under `if TYPE_CHECKING`."""
    test = node.test if isinstance(node, ast.If) else None
    return getattr(test, "attr", getattr(test, "id", None)) == "TYPE_CHECKING"


@cache
def imports_of(path):
    """The names in the imports of a file, wherever they stand, but for those that only type checkers see."""
    hidden = {id(inner) for node in nodes_of(path) if is_for_checkers(node) for inner in ast.walk(node)}
    names = []
    for node in nodes_of(path):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "an import says where from"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def rooms_of(path):
    """The rooms that a file imports."""
    for name in imports_of(path):
        top, _, rest = name.partition(".")
        if top == "giantkiller" and rest and not rest.startswith("__version__"):
            yield rest.partition(".")[0]


def test_every_room_is_in_the_table():
    assert {room_of(path) for path in FILES} == set(ALLOWED)


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_room_imports_only_what_it_may(room):
    for path in FILES:
        if room_of(path) == room:
            beyond = set(rooms_of(path)) - ALLOWED[room] - {room}
            assert not beyond, f"{path.relative_to(PACKAGE)} imports {', '.join(beyond)}"


def test_no_room_leads_back_to_itself():
    arrows = {room: set() for room in ALLOWED}
    for path in FILES:
        arrows[room_of(path)] |= set(rooms_of(path)) - {room_of(path)}
    TopologicalSorter(arrows).prepare()  # raises with the cycle


@pytest.mark.parametrize("room", sorted(ALLOWED.keys() - WORKSHOP.keys()))
def test_packages_stay_where_they_belong(room):
    for path in FILES:
        if room_of(path) != room:
            continue
        packages = {name.partition(".")[0] for name in imports_of(path)}
        packages -= {"giantkiller", *sys.stdlib_module_names}
        if room in HOUSE:
            assert packages <= CORE | OPTIONAL, path
        else:
            # It needs a base class of scikit-learn; `giantkiller.frames` itself leaves the module out.
            allowed = {"sklearn"} if path.relative_to(PACKAGE).as_posix() == "frames/estimator.py" else set()
            assert not packages & (HEAVY - allowed), path


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def private_imports(path):
    """The imports of a file that lead to a private name of another room or of another library."""
    for name in imports_of(path):
        inside = name.startswith(f"giantkiller.{room_of(path)}.")
        if not inside and any(is_private(part) for part in name.split(".")):
            yield name


def private_attributes(path):
    """The private names that a file asks an object for that is not `self`."""
    for node in nodes_of(path):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            owner = ast.unparse(node.value)
            if owner not in ("self", "cls") and owner not in sys.stdlib_module_names:
                yield node.attr


def own_names(room):
    """The names that a room defines or assigns, and its modules."""
    for path in FILES:
        if room_of(path) == room:
            yield from path.relative_to(PACKAGE).with_suffix("").parts
            for node in nodes_of(path):
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    yield node.name
                elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
                    yield node.id if isinstance(node, ast.Name) else node.attr


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_private_names_stay_in_their_room(room):
    paths = [path for path in FILES if room_of(path) == room]
    assert [name for path in paths for name in private_imports(path)] == []
    used = {name for path in paths for name in private_attributes(path)}
    assert used - DOCUMENTED <= set(own_names(room))


COMMAND_LINE = re.compile(r"`giantkiller [a-z]|(?<![\w-])--[a-z]")


@pytest.mark.parametrize("room", sorted(ALLOWED.keys() - {"cli"}))
def test_messages_name_no_command_and_no_flag(room):
    """Who calls a library may have neither; the command line puts its own names for parameters."""
    for path in FILES:
        if room_of(path) == room:
            nodes = nodes_of(path)
            docs = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
            said = [
                node.value
                for node in nodes
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
            ]
            assert [text for text in said if COMMAND_LINE.search(text)] == [], path


LONGEST_FUNCTION, LONGEST_FILE = 60, 400  # lines; docstrings don't count in a function
STAYS_AS_IT_IS = PACKAGE / "store" / "migrations"


def own_lines(function):
    """A function's lines without its docstring."""
    first = function.body[0]
    docstring = first.end_lineno - first.lineno + 1 if ast.get_docstring(function) is not None else 0
    return function.end_lineno - function.lineno + 1 - docstring


def test_functions_and_files_are_short():
    paths = [path for path in FILES if STAYS_AS_IT_IS not in path.parents]
    assert [path for path in paths if len(path.read_text("utf-8").splitlines()) > LONGEST_FILE] == []
    long = {
        node.name
        for path in paths
        for node in nodes_of(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and own_lines(node) > LONGEST_FUNCTION
    }
    assert long == set()


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
