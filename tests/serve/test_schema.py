"""Requests that schemathesis makes from our OpenAPI document, right and wrong: answers are as described."""

import contextlib
import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

EACH = int(os.environ.get("GIANTKILLER_SCHEMA_CASES", "70"))
"""Cases of each operation in each of two ways: right, and wrong."""

FEWEST = 2000
"""Cases in all, by default: fifteen of the operations take so many in each way."""


@pytest.fixture
def schemathesis():
    """The library, imported only here: it takes seconds, and most runs of the tests have no use for it."""
    library = pytest.importorskip("schemathesis")

    @library.serializer("application/x-ndjson", "multipart/mixed")
    def as_it_is(_context, value):
        return value.encode("utf-8", "replace") if isinstance(value, str) else str(value).encode()

    return library


@pytest.mark.slow
def test_answers_are_as_described(serve, subtests, schemathesis):
    from schemathesis import checks
    from schemathesis.generation import GenerationMode

    asserted = [
        checks.not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
    ]
    count = 0

    def asked(case):
        nonlocal count
        count += 1
        case.call_and_validate(base_url=server.url, checks=asserted)

    # Load is no subject here: nothing is refused for it, as a 503 is a server's error.
    with serve(open=True, max_wait_ms=600_000) as server:
        schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
        for operation in (result.ok() for result in schema.get_all_operations()):
            for mode in GenerationMode:
                limited = settings(
                    max_examples=EACH,
                    deadline=None,
                    derandomize=True,
                    database=None,
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                )
                with (
                    subtests.test(operation=operation.label, mode=mode.value),
                    contextlib.suppress(Unsatisfiable),  # where nothing is asked for, nothing can be wrong
                ):
                    limited(given(case=operation.as_strategy(generation_mode=mode))(asked))()
    assert count >= min(FEWEST, 30 * EACH)
