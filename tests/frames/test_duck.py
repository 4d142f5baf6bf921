import pytest
from frames_texts import TEXTS

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError

pytest.importorskip("narwhals")
pytest.importorskip("pyarrow")
duckdb = pytest.importorskip("duckdb")

from giantkiller.frames import register  # noqa: E402


@pytest.fixture
def connection(screener):
    connection = duckdb.connect()
    connection.execute("CREATE TABLE comments (id INTEGER, text VARCHAR)")
    connection.executemany("INSERT INTO comments VALUES (?, ?)", list(enumerate(TEXTS)))
    register(connection, model=screener)
    yield connection
    connection.close()


def test_one_function_an_attribute(connection, expected):
    for i, attribute in enumerate(ATTRIBUTES):
        found = connection.sql(f"SELECT giantkiller_{attribute}(text) AS s FROM comments ORDER BY id")
        assert found.types == ["FLOAT"]
        assert [row[0] for row in found.fetchall()] == [None if row is None else row[i] for row in expected]


def test_all_scores_as_a_struct(connection, expected):
    found = connection.sql("SELECT giantkiller_scores(text) FROM comments ORDER BY id").fetchall()
    wanted = [None if row is None else dict(zip(ATTRIBUTES, row, strict=True)) for row in expected]
    assert [row[0] for row in found] == wanted


def test_registering_again_replaces(connection, screener):
    register(connection, model=screener)
    assert connection.sql("SELECT giantkiller_toxicity(NULL)").fetchall() == [(None,)]


def test_many_rows(connection, screener):
    found = connection.sql("SELECT sum(giantkiller_toxicity('idiot ' || (i % 3))) FROM range(10000) t(i)")
    scores = screener.scores(f"idiot {i % 3}" for i in range(10000))[:, 0]
    assert found.fetchall()[0][0] == pytest.approx(float(scores.sum()), rel=1e-4)


def test_what_is_wrong_is_said_in_a_sentence(screener):
    with pytest.raises(UserError, match="type str, not a connection"):
        register("file.duckdb", model=screener)
    with pytest.raises(UserError, match="`prefix` is 'a-b'"):
        register(duckdb.connect(), prefix="a-b", model=screener)
