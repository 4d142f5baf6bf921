import pytest

pytest.importorskip("narwhals")

from frames_texts import TEXTS

from giantkiller.attributes import ATTRIBUTES
from giantkiller.errors import UserError
from giantkiller.frames import score


def columns(expected):
    return {name: [None if row is None else row[i] for row in expected] for i, name in enumerate(ATTRIBUTES)}


def test_pandas_keeps_its_index_and_float32(screener, expected):
    pd = pytest.importorskip("pandas")
    index = [7, 7, 1, 2, 0]
    frame = pd.DataFrame({"id": range(5), "text": TEXTS}, index=index)
    scored = score(frame, model=screener)
    assert list(scored.columns) == ["id", "text", *ATTRIBUTES]
    assert list(scored.index) == index
    assert list(frame.columns) == ["id", "text"]
    for name, values in columns(expected).items():
        assert scored[name].dtype == "float32"
        assert [None if pd.isna(v) else v for v in scored[name].tolist()] == values


@pytest.mark.parametrize("dtype", ["object", "category", "string"])
def test_pandas_columns_of_other_types(screener, expected, dtype):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"text": pd.Series(TEXTS, dtype=dtype)})
    found = score(frame, attributes=["toxicity"], model=screener)["toxicity"]
    assert [None if pd.isna(v) else v for v in found.tolist()] == columns(expected)["toxicity"]


def test_polars_eager(screener, expected):
    pl = pytest.importorskip("polars")
    scored = score(pl.DataFrame({"text": TEXTS}), model=screener)
    assert scored.schema == {"text": pl.String} | dict.fromkeys(ATTRIBUTES, pl.Float32)
    assert scored.drop("text").to_dict(as_series=False) == columns(expected)


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_polars_lazy(screener, expected, engine):
    pl = pytest.importorskip("polars")
    lazy = score(pl.LazyFrame({"text": TEXTS}), prefix="p_", model=screener)
    assert isinstance(lazy, pl.LazyFrame)
    scored = lazy.collect(engine=engine)
    assert scored.schema == {"text": pl.String} | {f"p_{a}": pl.Float32 for a in ATTRIBUTES}
    assert scored.drop("text").rename(lambda n: n[2:]).to_dict(as_series=False) == columns(expected)


def test_polars_streams_a_file_in_order(screener, expected, tmp_path):
    pl = pytest.importorskip("polars")
    path, times = tmp_path / "many.parquet", 60_000
    pl.DataFrame({"text": TEXTS * times}).write_parquet(path, row_group_size=50_000)
    lazy = score(pl.scan_parquet(path), attributes=["insult"], model=screener)
    scored = lazy.collect(engine="streaming")
    assert scored["text"].to_list() == TEXTS * times
    assert scored["insult"].to_list() == columns(expected)["insult"] * times


def test_pyarrow(screener, expected):
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"text": pa.chunked_array([TEXTS[:2], TEXTS[2:]])})
    scored = score(table, model=screener)
    assert isinstance(scored, pa.Table)
    assert {scored.schema.field(name).type for name in ATTRIBUTES} == {pa.float32()}
    assert scored.drop_columns("text").to_pydict() == columns(expected)


def test_datasets(screener, expected):
    datasets = pytest.importorskip("datasets")
    dataset = datasets.Dataset.from_dict({"text": TEXTS})
    scored = score(dataset, model=screener)
    assert scored.format["type"] is None
    assert {scored.features[name].dtype for name in ATTRIBUTES} == {"float32"}
    assert scored.remove_columns("text").to_dict() == columns(expected)
    stream = score(dataset.to_iterable_dataset(), model=screener)
    assert [row["toxicity"] for row in stream] == columns(expected)["toxicity"]


@pytest.mark.parametrize("rows", [[], [None, None]])
def test_nothing_to_score(screener, rows):
    pl = pytest.importorskip("polars")
    scored = score(pl.DataFrame({"text": rows}, schema={"text": pl.String}), model=screener)
    assert scored["toxicity"].to_list() == rows


def test_a_text_is_scored_once(screener, monkeypatch):
    pl = pytest.importorskip("polars")
    seen, scores = [], screener.scores

    def watched(texts):
        seen.extend(texts)
        return scores(seen)

    monkeypatch.setattr(screener, "scores", watched)
    score(pl.DataFrame({"text": TEXTS}), model=screener)
    assert seen == ["you idiot", "thanks", "damn"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"column": "comment"}, "there is no column 'comment'; name one of these .*: 'text', 'id', 'insult'"),
        ({"column": "id", "prefix": "p_"}, "the column 'id' holds Int64, not text"),
        ({"attributes": ["rude"]}, "'rude' is none of toxicity"),
        ({"attributes": []}, "at least one"),
        ({}, "a column 'insult' already; .*`prefix`"),
        ({"frame": [1, 2]}, "type list, which is no data frame"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(screener, changes, message):
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"text": ["a"], "id": [1], "insult": [0.5]})
    with pytest.raises(UserError, match=message):
        score(**({"frame": frame, "model": screener} | changes))


def test_a_value_that_is_no_text(screener):
    pd = pytest.importorskip("pandas")
    with pytest.raises(UserError, match="row 2 of 'text' is of type int, not a string"):
        score(pd.DataFrame({"text": pd.Series(["a", 5], dtype=object)}), model=screener)


def test_a_relation_of_duckdb_is_sent_to_sql(screener):
    duckdb = pytest.importorskip("duckdb")
    with pytest.raises(UserError, match="use `register`"):
        score(duckdb.connect().sql("SELECT 'a' AS text"), model=screener)
