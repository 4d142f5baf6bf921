import pytest

from giantkiller.errors import UserError
from giantkiller.files.columns import MAX_COLUMNS, added_columns, check_count, choose_text_column


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["id", "Text"], "Text"),
        (["id", " Comment Text "], " Comment Text "),
        (["COMMENT", "Text"], "Text"),
        (["Text", "text"], "text"),
        (["body", "comment-text"], "comment-text"),
    ],
)
def test_usual_names_in_any_spelling(names, found):
    assert choose_text_column("f", names, None) == found


def test_the_column_with_most_texts_wins():
    texts = {"text": 1, "comment": 99}
    assert choose_text_column("f", ["text", "comment"], None, texts) == "comment"
    assert choose_text_column("f", ["text", "comment"], "text", texts) == "text"


def test_a_named_column_is_named_exactly():
    with pytest.raises(UserError, match="has no column 'Text'; its columns are: text"):
        choose_text_column("f", ["text"], "Text")
    with pytest.raises(UserError, match=r"none of its columns \(a, b\).*`text_column`"):
        choose_text_column("f", ["a", "b"], None)


def test_many_columns_are_neither_read_nor_listed():
    check_count("f", ["a"] * MAX_COLUMNS)
    with pytest.raises(UserError, match="at most 4,096"):
        check_count("f", ["a"] * (MAX_COLUMNS + 1))
    with pytest.raises(UserError) as caught:
        choose_text_column("f", ["x" * 1_000] * MAX_COLUMNS, None)
    assert len(str(caught.value)) < 1_000


def test_a_prefix_that_is_no_text():
    assert added_columns("new_")[-3:] == ("new_action", "new_attribute", "new_error")
    with pytest.raises(UserError, match="`prefix`"):
        added_columns("\udcff")
