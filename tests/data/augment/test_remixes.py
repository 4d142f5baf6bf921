import numpy as np

from giantkiller.data.augment.remixes import remix, similar_words

COMMENTS = [
    "The bus was late again. I waited for an hour. Nobody said a word.",
    "What a lovely garden you have there.",
    "You utter fool! Read it again before you answer. It says so on the first page.",
]


def test_words_near_each_other_are_similar():
    vocabulary = {"[PAD]": 0, "red": 1, "crimson": 2, "run": 3, "sprint": 4, "##ing": 5, "an": 6}
    vectors = np.array([[0, 0], [1, 0], [5, 1], [0, 1], [1, 6], [1, 0], [1, 0]], dtype=np.float32)
    assert similar_words(vectors, vocabulary, count=1) == {
        "red": ["crimson"],
        "crimson": ["red"],
        "run": ["sprint"],
        "sprint": ["run"],
    }
    assert {len(others) for others in similar_words(vectors, vocabulary, count=9).values()} == {3}


def test_remixes_are_made_of_whole_sentences_when_no_word_is_exchanged():
    sentences = {part.strip() for text in COMMENTS for part in text.replace("!", ".").split(".")}
    made = remix(COMMENTS, 200, seed=1, similar={})
    assert len(made) == 200
    assert len(set(made)) > 10
    for text in made:
        rest = text.replace("!", ".")
        assert all(any(part.strip() in known for known in sentences) for part in rest.split("."))
    assert made == remix(COMMENTS, 200, seed=1, similar={}) != remix(COMMENTS, 200, seed=2, similar={})


def test_words_are_exchanged_as_often_as_told():
    similar = {"bus": ["tram", "train"], "fool": ["clown"]}
    always = " ".join(remix(COMMENTS, 200, 1, similar, replaced=1.0))
    assert "bus" not in always
    assert "fool" not in always
    assert {"tram", "train", "clown"} <= set(always.replace("!", "").split())
    comments = ["bus " * 100] * 3
    words = " ".join(remix(comments, 100, 1, similar, replaced=0.25)).split()
    assert 0.2 < np.mean([word != "bus" for word in words]) < 0.3


def test_no_comments_make_no_remixes():
    assert remix(["", "  "], 5, seed=1, similar={}) == []
