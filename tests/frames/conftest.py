import pytest
from frames_texts import TEXTS


@pytest.fixture(scope="session")
def screener(tiny_bundle):
    from giantkiller import Screener

    return Screener(tiny_bundle)


@pytest.fixture(scope="session")
def expected(screener):
    """What each row of a column of TEXTS should get, as lists of seven; None for the null."""
    rows = iter(screener.scores(text for text in TEXTS if text is not None).tolist())
    return [None if text is None else next(rows) for text in TEXTS]
