"""The lines for Spark in the guide, in a Spark of one core."""

import importlib.util
import re
import shutil
import sys
from pathlib import Path

import pytest

from giantkiller import ATTRIBUTES, Screener

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "cluster.md").read_text(encoding="utf-8")
SETTINGS = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.driver.memory": "512m",
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("java"), reason="no Java here, and Spark runs on it"),
    pytest.mark.skipif(
        not importlib.util.find_spec("pyspark"), reason="no PySpark here (pip install pyspark; 450 MB)"
    ),
]


@pytest.fixture
def spark(monkeypatch):
    from pyspark.sql import SparkSession

    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master("local[1]")
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


def test_the_guides_function(spark):
    texts = ["You are an idiot", None, "Thanks, that helped", ""]
    frame = spark.createDataFrame(list(enumerate(texts)), "id int, text string")
    names = {"frame": frame}
    (block,) = re.findall(r"```python\n(.*?)```", GUIDE.partition("## Spark")[2], flags=re.S)
    exec(block, names)
    found = {row["id"]: row for row in names["screened"].select("id", "scores.*").collect()}
    expected = Screener(threads=1).scores([text for text in texts if text is not None])
    assert [found[1][name] for name in ATTRIBUTES] == [None] * 7
    for row, scores in zip((0, 2, 3), expected.tolist(), strict=True):
        assert [found[row][name] for name in ATTRIBUTES] == scores
