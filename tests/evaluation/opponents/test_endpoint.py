import pytest

from giantkiller.errors import UserError
from giantkiller.evaluation import opponents


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/short", "without one toxicity score for each comment"),
        ("/words", "that is no number"),
        ("/text", "not JSON"),
        ("/broken", "can't be asked"),
    ],
)
def test_a_service_that_does_not(service, path, says):
    with pytest.raises(UserError, match=says):
        opponents.load(service + path).score(["a", "b"])


def test_a_service_that_is_not_there_and_a_key_that_stays_secret():
    with pytest.raises(UserError, match="can't be asked") as caught:
        opponents.load("http://user:secret@127.0.0.1:9/v1/comments:analyze?key=secret").score(["a"])
    assert "secret" not in str(caught.value)
