import pytest
from servers import error_of

from giantkiller.attributes import ATTRIBUTES


def test_score_one_and_many(server):
    texts = ["You idiot", "", "Thanks", "damn"]
    expected = server.service.screener.scores(texts)
    many = server.post("/v1/score", {"texts": texts}).json()
    assert many["model"].startswith("tiny 1 (")
    assert [list(result["scores"]) for result in many["results"]] == [list(ATTRIBUTES)] * 4
    for result, row in zip(many["results"], expected, strict=True):
        assert list(result["scores"].values()) == pytest.approx(row, abs=1e-6)
    one = server.post("/v1/score", {"text": texts[0]}).json()
    assert one["results"] == many["results"][:1]
    assert server.post("/v1/score", {"texts": []}).json()["results"] == []


def test_attributes_by_any_of_their_names(server):
    error_of(server.post("/v1/score", {"text": "a", "attributes": "toxicity"}), 400)
    result = server.post("/v1/score", {"text": "damn", "attributes": ["PROFANITY", "threat"]}).json()
    assert list(result["results"][0]["scores"]) == ["PROFANITY", "threat"]
    error_of(server.post("/v1/score", {"text": "damn", "attributes": ["nice"]}), 400)


def test_explanations(server):
    text = "You id\u200biot, thanks"
    result = server.post("/v1/score", {"text": text, "explain": "insult"}).json()["results"][0]
    words = {word["text"]: word for word in result["words"]}
    assert words["id\u200biot"]["contribution"] > 0.2
    assert text[words["thanks"]["begin"] : words["thanks"]["end"]] == "thanks"
    error_of(server.post("/v1/score", {"texts": ["a"] * 17, "explain": True}), 400)
    error_of(server.post("/v1/score", {"text": "a", "explain": "nice"}), 400)


def test_verdicts_and_why(server):
    answer = server.post("/v1/judge", {"texts": ["hurt you", "Thanks"], "explain": True}).json()
    hurt, thanks = answer["results"]
    assert (hurt["action"], hurt["attribute"], hurt["threshold"]) == ("remove", "threat", 0.9)
    assert hurt["words"][0]["text"] == "hurt"
    assert thanks["action"] == "allow"
    assert "threshold" not in thanks
    assert answer["policy"]["threat"] == {"review": 0.5, "remove": 0.9}
    verdict = server.service.screener.judge("hurt you")
    assert (hurt["action"], hurt["label"]) == (verdict.action, verdict.label)


def test_a_policy_of_the_clients_own(server):
    strict = {"toxicity": {"remove": 0.0}}
    answer = server.post("/v1/judge", {"text": "Thanks", "policy": strict}).json()
    assert answer["results"][0]["action"] == "remove"
    assert answer["policy"] == strict
    for wrong in ({"x": {}}, {"toxicity": {"ban": 0.5}}, {"toxicity": {"review": 2}}, {"toxicity": 1}):
        error_of(server.post("/v1/judge", {"text": "a", "policy": wrong}), 400)


def test_policy_and_model(server):
    assert error_of(server.client.get("/v1/policy"), 401)
    policy = server.client.get("/v1/policy", headers=server.bearer).json()
    assert policy["actions"] == ["allow", "monitor", "review", "remove"]
    assert policy["policy"]["toxicity"]["review"] == 0.6
    model = server.client.get("/v1/model", headers=server.bearer).json()
    assert model["name"] == "tiny"
    assert model["sha256"] == server.service.screener.bundle.files["model.onnx"].sha256
    assert model["digest"] == server.service.screener.bundle.digest


def test_answers_of_other_shapes_name_the_bundle_in_a_header(server):
    digest = server.service.screener.bundle.digest[:12]
    stream = server.client.post("/v1/screen", content=b'{"text": "a"}', headers=server.bearer)
    classified = server.post("/api/v1/classify", {"content": "a"})
    for response in (server.analyze(), stream, classified):
        assert response.status_code == 200
        assert response.headers["x-giantkiller-model"] == digest
    assert digest in server.post("/v1/score", {"text": "a"}).json()["model"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": "a", "texts": ["b"]},
        {"text": None},
        {"text": 5},
        {"texts": "a"},
        {"texts": ["a", None]},
        {"texts": ["a"] * 1001},
        {"text": "a" * 20_481},
        {"text": "a", "explain": 3},
        [],
        "a",
        None,
    ],
)
@pytest.mark.parametrize("path", ["/v1/score", "/v1/judge"])
def test_what_is_wrong_is_said(server, path, body):
    error = error_of(server.post(path, body), 400)
    assert "a" * 50 not in error["message"]


def test_curl_needs_no_content_type(server):
    headers = {**server.bearer, "Content-Type": "application/x-www-form-urlencoded"}
    assert server.client.post("/v1/score", content=b'{"text": "a"}', headers=headers).status_code == 200
    error_of(server.client.post("/v1/score", content=b"text=a", headers=headers), 415)


def test_a_rate_counts_comments(server):
    key = server.make_key("score", rate=100)
    headers = {"Authorization": f"Bearer {key}"}
    codes = [
        server.client.post("/v1/score", json={"texts": ["a"] * 150}, headers=headers).status_code
        for _ in range(3)
    ]
    assert codes == [200, 200, 429]
