"""The Perspective API's contract, spoken by a plain HTTP client."""

import itertools
import json

import pytest
from servers import error_of

from giantkiller.serve.feedback import read_feedback
from giantkiller.serve.perspective import LACKING, NAMES, OMITTED

GERMAN = "Das ist doch kompletter Unsinn, was du da schreibst."


def test_an_answer(server):
    response = server.analyze("You idiot", clientToken="x")
    assert response.status_code == 200
    value = round(float(server.service.screener.scores(["You idiot"])[0, 0]), 6)
    score = {"value": value, "type": "PROBABILITY"}
    assert response.json() == {
        "attributeScores": {
            "TOXICITY": {"spanScores": [{"begin": 0, "end": 9, "score": score}], "summaryScore": score}
        },
        "languages": ["en"],
        "detectedLanguages": ["und"],
        "clientToken": "x",
    }
    assert OMITTED not in response.headers
    assert response.headers["cache-control"] == "no-store"


def test_every_name_we_have(server):
    answer = server.analyze("damn", requestedAttributes={name: {} for name in NAMES}).json()
    assert set(answer["attributeScores"]) == set(NAMES)
    values = {name: found["summaryScore"]["value"] for name, found in answer["attributeScores"].items()}
    assert values["OBSCENE"] == values["PROFANITY"] == values["PROFANITY_EXPERIMENTAL"] > 0.8
    assert values["THREAT"] < 0.1


def test_what_we_lack_is_left_out_and_named(server, serve):
    wanted = {"SPAM": {}, "TOXICITY": {}, "FLIRTATION": {}}
    response = server.analyze(requestedAttributes=wanted)
    assert list(response.json()["attributeScores"]) == ["TOXICITY"]
    assert response.headers[OMITTED] == "SPAM, FLIRTATION"
    # An answer without anything in it would read as harmless.
    error = error_of(server.analyze(requestedAttributes={"SPAM": {}}), 400)
    assert error["message"] == "Unknown requested attribute: SPAM"
    error_of(server.analyze(requestedAttributes={"TOXICITY": {}, "TOXICTY": {}}), 400)
    assert not LACKING & set(NAMES)
    with serve(strict_attributes=True) as strict:
        error = error_of(strict.analyze(requestedAttributes=wanted), 400)
        assert error["message"] == "Unknown requested attribute: SPAM"


def test_sentences_have_spans_of_their_own(server):
    text = "You idiot!  Thanks a lot.\nhurt 🤬 you"
    answer = server.analyze(text, spanAnnotations=True, requestedAttributes={"THREAT": {}}).json()
    spans = answer["attributeScores"]["THREAT"]["spanScores"]
    parts = [text[span["begin"] : span["end"]] for span in spans]
    assert parts == ["You idiot!", "Thanks a lot.", "hurt 🤬 you"]
    expected = server.service.screener.scores([text, *parts])[:, 3]
    assert [span["score"]["value"] for span in spans] == pytest.approx(expected[1:], abs=1e-6)
    summary = answer["attributeScores"]["THREAT"]["summaryScore"]["value"]
    assert summary == pytest.approx(expected[0], abs=1e-6)


def test_a_hundred_thousand_sentences(server):
    answer = server.analyze("a. " * 6826, spanAnnotations=True).json()
    spans = answer["attributeScores"]["TOXICITY"]["spanScores"]
    assert 64 < len(spans) <= 128
    assert all(first["end"] <= second["begin"] for first, second in itertools.pairwise(spans))


def test_below_the_threshold_an_attribute_is_dropped(server):
    wanted = {"TOXICITY": {"scoreThreshold": 0.5}, "THREAT": {"scoreThreshold": "0.5"}}
    assert list(server.analyze(requestedAttributes=wanted).json()["attributeScores"]) == ["TOXICITY"]
    answer = server.analyze("Thanks", requestedAttributes=wanted).json()
    assert answer == {"languages": ["en"], "detectedLanguages": ["und"]}


@pytest.mark.parametrize("length", [20_479, 20_480])
@pytest.mark.parametrize("character", ["a", "é", "🤬"])
def test_characters_count_not_bytes(server, length, character):
    assert server.analyze(character * length).status_code == 200


@pytest.mark.parametrize(
    ("call", "message", "kind"),
    [
        ({"comment": {"text": ""}}, "Comment must be non-empty.", "COMMENT_EMPTY"),
        ({"comment": {"text": " \n\t"}}, "Comment must be non-empty.", "COMMENT_EMPTY"),
        ({"comment": {"text": None}}, "Comment must be non-empty.", "COMMENT_EMPTY"),
        ({"comment": {}}, "Comment must be non-empty.", "COMMENT_EMPTY"),
        ({"comment": None}, "Comment must be non-empty.", "COMMENT_EMPTY"),
        ({"comment": {"text": "a" * 20_481}}, "Comment text too long.", "COMMENT_TOO_LONG"),
        ({"requestedAttributes": {}}, "Missing requested_attributes", "NO_REQUESTED_ATTRIBUTES"),
        ({"requestedAttributes": None}, "Missing requested_attributes", "NO_REQUESTED_ATTRIBUTES"),
        (
            {"requestedAttributes": {"toxicity": {}}},
            "Unknown requested attribute: toxicity",
            "INVALID_REQUEST",
        ),
        (
            {"requestedAttributes": {"<b>": {}}},
            "Unknown requested attribute: (not a name)",
            "INVALID_REQUEST",
        ),
        (
            {"requestedAttributes": {"INSULT": {"scoreType": "PERCENTILE"}}},
            "Requested score type PERCENTILE is not supported by attribute INSULT",
            "INVALID_REQUEST",
        ),
        (
            {"comment": {"text": "a", "type": "HTML"}},
            "Currently, only 'PLAIN_TEXT' comments are supported",
            "INVALID_REQUEST",
        ),
        ({"comment": {"text": "a", "type": "x"}}, "Unknown text type", "INVALID_REQUEST"),
        (
            {"context": {"entries": [{"text": "a"}], "articleAndParentComment": {}}},
            "Context can have either entries or article_and_parent_comment, but both fields were populated.",
            "INVALID_REQUEST",
        ),
    ],
)
def test_errors_as_google_worded_them(server, call, message, kind):
    error = error_of(server.analyze(**{"text": "a", **call}), 400)
    assert error == {
        "code": 400,
        "message": message,
        "status": "INVALID_ARGUMENT",
        "details": [
            {"@type": "type.googleapis.com/google.commentanalyzer.v1alpha1.Error", "errorType": kind}
        ],
    }


def test_an_empty_body_is_an_error_with_details(server):
    """PyPerspective sends one to see whether its key is good, and reads the first detail."""
    error = error_of(server.analyze_raw(b""), 400)
    assert error["details"][0]["errorType"] == "COMMENT_EMPTY"


def test_keys(server):
    call = {"comment": {"text": "a"}, "requestedAttributes": {"TOXICITY": {}}}
    address = "/v1alpha1/comments:analyze"
    assert error_of(server.client.post(address, json=call), 403)["status"] == "PERMISSION_DENIED"
    for wrong in ("x", "gk_12345678_abc", server.key[:-1], server.key + "x", "é", "k" * 5000):
        error = error_of(server.analyze("a", key=wrong), 400)
        assert error["message"] == "API key not valid. Please pass a valid API key."
        assert error["details"][0]["reason"] == "API_KEY_INVALID"
    for headers in (
        {"X-Goog-Api-Key": server.key},
        {"X-API-Key": server.key},
        {"Authorization": f"bearer {server.key}"},
    ):
        assert server.client.post(address, json=call, headers=headers).status_code == 200
    assert error_of(server.analyze("a", key=server.make_key("moderate")), 403)
    assert server.analyze("a", key=server.make_key("admin")).status_code == 200


def test_other_languages(server, serve):
    error = error_of(server.analyze(GERMAN), 400)
    assert error["message"] == "Attribute TOXICITY does not support request languages: de"
    assert error["details"][0]["errorType"] == "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE"
    assert error["details"][0]["languageNotSupportedByAttributeError"] == {
        "detectedLanguages": ["de"],
        "attribute": "TOXICITY",
    }
    error = error_of(server.analyze(GERMAN, languages=["de"]), 400)
    assert error["details"][0]["languageNotSupportedByAttributeError"]["requestedLanguages"] == ["de"]
    for named in (["en"], ["en-GB"], ["de", "en"]):
        answer = server.analyze(GERMAN, languages=named).json()
        assert answer["languages"] == named
        assert answer["detectedLanguages"] == ["de"]
    with serve(any_language=True) as anything:
        assert anything.analyze(GERMAN).json()["languages"] == ["de"]


@pytest.mark.parametrize("locale", ["de", "fr", "es", "pt", "om"])
def test_english_from_a_site_in_another_locale_is_scored(server, locale):
    """A 400 here would silently switch off the filter of a forum."""
    text = "You are an idiot and everybody in this thread knows it."
    answer = server.analyze(text, languages=[locale]).json()
    assert answer["languages"] == [locale]
    assert answer["detectedLanguages"] == ["en"]
    assert answer["attributeScores"]


def test_numbers_as_text_snake_case_and_unknown_fields(server):
    body = {
        "comment": {"text": "You idiot", "new": [1]},
        "requested_attributes": {"TOXICITY": {"score_threshold": "0.1", "score_type": "PROBABILITY"}},
        "span_annotations": "true",
        "client_token": "t",
        "whatever": {"deep": [[[]]]},
    }
    answer = server.analyze_raw(json.dumps(body)).json()
    assert answer["clientToken"] == "t"
    assert list(answer["attributeScores"]) == ["TOXICITY"]


def test_lone_surrogates_are_no_way_around(server):
    """A client that fails open must not be made to fail by a character."""
    body = (
        '{"comment":{"text":"You \\ud83d idiot"},"requestedAttributes":{"INSULT":{}},"clientToken":"\\ud800"}'
    )
    answer = server.analyze_raw(body).json()
    assert answer["attributeScores"]["INSULT"]["summaryScore"]["value"] > 0.5
    assert answer["clientToken"] == "\ufffd"


@pytest.mark.parametrize(
    "path", ["comments%3Aanalyze?key=K", "comments:analyze?alt=json&key=K&prettyPrint=0"]
)
def test_addresses_as_other_clients_write_them(server, path):
    body = json.dumps({"comment": {"text": "a"}, "requestedAttributes": {"TOXICITY": {}}})
    path = path.replace("=K", f"={server.key}")
    head = f"POST /v1alpha1/{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    got = server.raw(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    assert got.startswith(b"HTTP/1.1 200")


def test_context_is_accepted(server):
    context = {"entries": [{"text": "idiot", "type": "PLAIN_TEXT"}]}
    plain = server.analyze("Thanks").json()
    assert server.analyze("Thanks", context=context).json() == plain
    other = {"articleAndParentComment": {"article": {"text": "a"}, "parentComment": None}}
    assert server.analyze("Thanks", context=other).json() == plain


def test_suggestions_are_kept(server):
    body = {
        "comment": {"text": "nul \0 idiot"},
        "attributeScores": {
            "TOXICITY": {"summaryScore": {"value": 1}},
            "PROFANITY": {"spanScores": [{"begin": 0, "end": 3, "score": {"value": "0.25"}}]},
            "SPAM": {"summaryScore": {"value": 0, "type": "PROBABILITY"}},
        },
        "context": {"entries": [{"text": '{"url": "https://example.com"}'}]},
        "communityId": "Coral:example.com",
        "clientToken": "comment:7",
        "languages": ["en"],
    }
    address = "/v1alpha1/comments:suggestscore"
    response = server.client.post(address, params={"key": server.key}, json=body)
    assert response.json() == {
        "detectedLanguages": ["und"],
        "requestedLanguages": ["en"],
        "clientToken": "comment:7",
    }
    *_, row = read_feedback(server.service.store)
    assert row["text"] == "nul \ufffd idiot"
    assert row["scores"] == {"toxicity": 1.0, "SPAM": 0.0}
    assert row["spans"]["obscene"][0]["score"]["value"] == 0.25
    assert row["community"] == "Coral:example.com"
    assert row["client_token"] == "comment:7"
    assert row["context"]["entries"][0]["text"].startswith("{")
    assert row["received"].tzinfo is not None
    # An admin gets it as labelled comments.
    admin = {"Authorization": f"Bearer {server.make_key('admin')}"}
    answer = server.client.get("/v1/feedback", params={"after": row["number"] - 1}, headers=admin)
    (label,) = map(json.loads, answer.text.splitlines())
    assert (label["text"], label["toxicity"], label["client_token"]) == ("nul \ufffd idiot", 1.0, "comment:7")
    assert "SPAM" not in label
    error_of(server.client.get("/v1/feedback", headers=server.bearer), 403)
    error_of(server.client.get("/v1/feedback?after=x", headers=admin), 400)
    scoring = server.make_key("score")
    assert server.client.post(address, params={"key": scoring}, json=body).status_code == 403


@pytest.mark.parametrize(
    "scores",
    [
        None,
        {},
        {"TOXICITY": None},
        {"TOXICITY": {}},
        {"TOXICITY": {"summaryScore": {"value": 1.5}}},
        {"TOXICITY": {"summaryScore": {"value": "NaN"}}},
        {"TOXICITY": {"spanScores": [{"score": {"value": -1}}]}},
        {"X": {"summaryScore": {"value": 1}}},
        {"TOXICITY": {"spanScores": [{"begin": 0, "end": 1, "score": {"value": 1}}] * 1001}},
        {"TOXICITY": {"spanScores": [{}] * 100_000}},
    ],
)
def test_suggestions_that_make_no_sense(server, scores):
    body = {"comment": {"text": "a"}, "attributeScores": scores}
    address = f"/v1alpha1/comments:suggestscore?key={server.key}"
    error_of(server.client.post(address, json=body), 400)


def test_the_discovery_document(server):
    found = server.client.get("/$discovery/rest?version=v1alpha1").json()
    assert found["rootUrl"] == server.url + "/"
    methods = found["resources"]["comments"]["methods"]
    assert methods["analyze"]["path"] == "v1alpha1/comments:analyze"
    for method in methods.values():
        assert method["request"]["$ref"] in found["schemas"]
        assert method["response"]["$ref"] in found["schemas"]
    # A Host header that is none is not repeated.
    other = server.client.get("/$discovery/rest", headers={"Host": "evil'><script>"})
    assert "<script" not in other.text


def test_the_rate_of_a_key(server):
    slow = server.make_key("score", rate=2)
    codes = [server.analyze("a", key=slow).status_code for _ in range(8)]
    assert codes[:4] == [200] * 4
    refused = server.analyze("a", key=slow)
    error = error_of(refused, 429)
    assert error["status"] == "RESOURCE_EXHAUSTED"
    assert error["details"][0]["reason"] == "RATE_LIMIT_EXCEEDED"
    assert int(refused.headers["retry-after"]) >= 1
    assert server.analyze("a").status_code == 200
