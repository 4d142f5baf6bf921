"""What tests share."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

# One thread of arithmetic for each process, programs that tests start among them. With models as small as
# these a second one only waits, spinning: some fixtures took fifteen times as long, two workers on two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

# The same examples every time, so that a change fails for what it changed; `make test-all` takes twice as
# many, and `--hypothesis-profile search` looks for new ones. No deadline: it would fail on a busy machine.
settings.register_profile("fewer", derandomize=True, deadline=None, max_examples=50)
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", derandomize=False, deadline=None)
settings.load_profile("fewer")

sys.path.insert(0, str(Path(__file__).parent))  # for the helpers that tests share


# The longest first: workers that begin with these files end at about the same time.
LONGEST = [
    "serve/test_schema.py",
    "desk/test_kill.py",
    "desk/test_machine.py",
    "cluster/test_ray.py",
    "adapt/test_commands.py",
    "web/test_parity.py",
    "web/test_browser.py",
    "desk/test_browser.py",
    "web/test_firefox.py",
    "models/test_bert.py",
    "desk/test_security.py",
    "serve/test_server.py",
    "files/test_screening.py",
    "training/test_growth.py",
    "serve/test_switching.py",
    "desk/test_pages.py",
    "cli/test_main.py",
    "evaluation/test_page.py",
    "training/test_run.py",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest."""
    order = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.fixture(scope="session", autouse=True)
def heed_interrupts() -> None:
    """Let programs that tests start be interrupted, also where the tests run in the background.

    A shell starts background jobs with SIGINT ignored, and programs inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real labelled comments, where a developer has them; tests that need them skip elsewhere."""
    named = os.environ.get("GIANTKILLER_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "civil_val.parquet").exists():
        pytest.skip("no labelled comments here (set GIANTKILLER_DATA to a folder that has them)")
    return folder


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle small enough to read: a text's logits are sums of its tokens' weights, less 4."""
    pytest.importorskip("onnx")
    from bundles import build

    return build(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with labelled.csv, a word-level tokenizer of its words, recipe.toml and growing.toml."""
    pytest.importorskip("transformers")
    from checkpoints import write_tiny

    return write_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def toxic_bert(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of another system, with five attributes under its own names and one label we lack."""
    from checkpoints import write_foreign
    from transformers import AutoTokenizer

    labels = ["toxic", "severe_toxic", "obscene", "threat", "identity_hate", "spam"]
    tokenizer = AutoTokenizer.from_pretrained(tiny / "tokenizer")
    return write_foreign(tmp_path_factory.mktemp("teacher"), tokenizer, labels)


@pytest.fixture(scope="session")
def dendritic_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dendritic checkpoint that calls three comments in ten toxic."""
    pytest.importorskip("transformers")
    from checkpoints import write_balanced

    return write_balanced(tmp_path_factory.mktemp("made") / "small")


@pytest.fixture(scope="session")
def labelled(dendritic_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Comments whose labels that checkpoint gets right more often than not, for two attributes."""
    from checkpoints import write_labelled

    return write_labelled(dendritic_bert, tmp_path_factory.mktemp("data") / "validation.csv")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server of the tests' own."""
    pytest.importorskip("psycopg")
    from postgresql_server import find_programs, postgresql_server

    if find_programs() is None:
        pytest.skip("no PostgreSQL server here (Debian: apt-get install postgresql)")
    with postgresql_server() as url:
        yield url


@pytest.fixture
def empty_postgresql(postgresql: str) -> str:
    """The same server's database, emptied."""
    from postgresql_server import empty

    empty(postgresql)
    return postgresql
