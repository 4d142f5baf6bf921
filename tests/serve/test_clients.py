"""Clients of the Perspective API that others wrote, unmodified, against the program on loopback.

They bring their own ideas of what an answer holds. `pip install '.[clients]'` has those in Python; those in
JavaScript come from npm in the test. Coral's calls are replayed from what its source sends and reads.
"""

import json
import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from servers import serving
from tunnel import tunnel

from giantkiller.screener import Screener
from giantkiller.serve.feedback import read_feedback
from giantkiller.store import open_store

pytestmark = pytest.mark.slow

RUDE = "You are such an idiot, shut up."
KIND = "Thanks, that was very kind of you."
GERMAN = "Das ist doch kompletter Unsinn, was du da schreibst."
HOST = "commentanalyzer.googleapis.com"
JS_CLIENTS = ("@conversationai/perspectiveapi-js-client@1.0.1", "perspective-api-client@3.1.0")


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("clients") / "state"


@pytest.fixture(scope="module")
def service(state):
    """The program with the shipped model and no configuration: (address, key)."""
    with serving("default", state) as (_, address, key):
        yield address, key


@pytest.fixture(scope="module")
def expected():
    """Scores of a text by attribute, from the model itself."""
    screener = Screener()
    return lambda text, column=0: pytest.approx(screener.scores([text])[0, column].item(), abs=2e-3)


def kept(state):
    """Read what is kept of feedback: (text, scores, community, client token)."""
    with closing(open_store(state)) as store:
        rows = read_feedback(store)
    return [(row["text"], row["scores"], row["community"], row["client_token"]) for row in rows]


def google_client(address, key):
    discovery = pytest.importorskip("googleapiclient.discovery")
    return discovery.build(
        "commentanalyzer",
        "v1alpha1",
        developerKey=key,
        discoveryServiceUrl=f"{address}/$discovery/rest?version=v1alpha1",
        static_discovery=False,
    )


class TestGoogle:
    """google-api-python-client: it builds its methods from the discovery document."""

    @pytest.fixture
    def client(self, service):
        with google_client(*service) as client:
            yield client

    def test_analyze(self, client, expected):
        body = {"comment": {"text": RUDE}, "requestedAttributes": {"TOXICITY": {}}}
        answer = client.comments().analyze(body=body).execute()
        assert answer["attributeScores"]["TOXICITY"]["summaryScore"]["value"] == expected(RUDE)
        assert answer["languages"] == ["en"]

    def test_suggestscore(self, client, state):
        body = {
            "comment": {"text": RUDE},
            "attributeScores": {"TOXICITY": {"summaryScore": {"value": 0.25}}},
            "communityId": "google",
            "clientToken": "g1",
        }
        assert client.comments().suggestscore(body=body).execute()["clientToken"] == "g1"
        assert (RUDE, {"toxicity": 0.25}, "google", "g1") in kept(state)

    def test_errors_say_what_is_wrong(self, client):
        from googleapiclient.errors import HttpError

        body = {"comment": {"text": GERMAN}, "requestedAttributes": {"TOXICITY": {}}}
        with pytest.raises(HttpError) as refused:
            client.comments().analyze(body=body).execute()
        assert refused.value.status_code == 400
        assert refused.value.reason == "Attribute TOXICITY does not support request languages: de"
        assert refused.value.error_details[0]["errorType"] == "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE"

    def test_a_wrong_key(self, service):
        with google_client(service[0], "AIza") as client:
            from googleapiclient.errors import HttpError

            body = {"comment": {"text": KIND}, "requestedAttributes": {"TOXICITY": {}}}
            with pytest.raises(HttpError, match="API key not valid"):
                client.comments().analyze(body=body).execute()

    def test_a_batch(self, client, expected):
        """As HELM calls: all attributes with span annotations; it reads the first span's score alone."""
        texts = {"rude": RUDE, "kind": KIND, "empty": "", "marks": "naïve 🤬 \r\n\r\n--===", "german": GERMAN}
        answers, errors = {}, {}

        def callback(id_, response, error):
            (errors if error else answers)[id_] = error or response

        batch = client.new_batch_http_request()
        for id_, text in texts.items():
            body = {
                "comment": {"text": text},
                "requestedAttributes": {"TOXICITY": {}, "THREAT": {}, "FLIRTATION": {}},
                "languages": ["en"],
                "spanAnnotations": True,
            }
            batch.add(client.comments().analyze(body=body), callback, id_)
        batch.execute()
        assert set(answers) == {"rude", "kind", "marks", "german"}
        assert [error.status_code for error in errors.values()] == [400]
        for id_, answer in answers.items():
            assert set(answer["attributeScores"]) == {"TOXICITY", "THREAT"}
            span = answer["attributeScores"]["TOXICITY"]["spanScores"][0]
            assert 0 <= span["score"]["value"] <= 1
            if id_ != "marks":  # which has more than one sentence
                assert span["score"]["value"] == expected(texts[id_])
                assert (span["begin"], span["end"]) == (0, len(texts[id_]))


class TestPerspective:
    """perspective 1.0.3: urllib, with the address in an attribute."""

    @pytest.fixture
    def client(self, service):
        perspective = pytest.importorskip("perspective")
        client = perspective.PerspectiveAPI(service[1])
        client.api_client.url = service[0] + "/v1alpha1/{endpoint}"
        return client

    def test_score(self, client, expected):
        assert client.score(RUDE) == {"TOXICITY": expected(RUDE)}
        both = client.score(KIND, tests=["INSULT", "SEVERE_TOXICITY"])
        assert both == {"INSULT": expected(KIND, 4), "SEVERE_TOXICITY": expected(KIND, 1)}

    def test_every_field(self, client):
        answer = client.analyze_comment(
            RUDE,
            comment_type="PLAIN_TEXT",
            context=[{"text": "What do you think?", "type": "PLAIN_TEXT"}],
            requested_attributes={"TOXICITY": {"scoreType": "PROBABILITY", "scoreThreshold": 0.1}},
            span_annotations=True,
            languages=["en"],
            do_not_store=True,
            client_token="c",
            session_id="s",
            community_id="forum",
        )
        assert answer["clientToken"] == "c"
        assert answer["attributeScores"]["TOXICITY"]["spanScores"]

    def test_suggest_score(self, client, state):
        scores = {"TOXICITY": {"summaryScore": {"value": 0.0, "type": "PROBABILITY"}}}
        answer = client.suggest_score(KIND, scores, client_token="p1", community_id="urllib")
        assert answer["clientToken"] == "p1"
        assert (KIND, {"toxicity": 0.0}, "urllib", "p1") in kept(state)


class TestPyPerspective:
    """PyPerspective 1.0.4: its host is hard-wired in a constant of the module, which is patched here."""

    @pytest.fixture
    def module(self, service, monkeypatch):
        module = pytest.importorskip("PyPerspective.Perspective")
        monkeypatch.setattr(module, "base_url", f"{service[0]}/v1alpha1/comments:analyze")
        return module

    def test_scores_and_spans(self, module, service, expected):
        """Its start sends an empty body and reads the error's first detail."""
        comment = module.Perspective(service[1]).get_score(RUDE, tests=["TOXICITY", "FLIRTATION", "INSULT"])
        assert [attribute.name for attribute in comment.attributes] == ["TOXICITY", "INSULT"]
        toxicity = comment["toxicity"]
        assert (toxicity.score, toxicity.score_type) == (expected(RUDE), "PROBABILITY")
        assert str(toxicity[0]) == RUDE
        assert comment.requests_langs == ["en"]
        assert comment.detected_langs

    def test_a_wrong_key(self, module):
        from PyPerspective.errors import InvalidAuthKey

        with pytest.raises(InvalidAuthKey):
            module.Perspective("AIza")


HARD_WIRED = """
import json, sys
from pyspective.pyspective import PyspectiveAPI
api = PyspectiveAPI(sys.argv[1])
print(json.dumps([api.score(sys.argv[2]), api.score(sys.argv[2], "threat"), api.suggest(sys.argv[2], 1)]))
"""


def test_a_client_that_knows_one_host_only(service, state, expected, tmp_path):
    """PySpective 0.0.2, with nothing patched: the environment names a proxy and a certificate."""
    pytest.importorskip("pyspective")
    address, key = service
    with tunnel(HOST, int(address.rpartition(":")[2]), tmp_path) as environment:
        done = subprocess.run(
            [sys.executable, "-c", HARD_WIRED, key, RUDE],
            capture_output=True, text=True, check=False, env={"PATH": "", **environment},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    every, threat, suggested = json.loads(done.stdout)
    assert every["TOXICITY"] == expected(RUDE)
    assert len(every) == 7  # of the eight that it asks for; we have no FLIRTATION
    assert threat == {"THREAT": expected(RUDE, 3)}
    assert suggested == "Successed"
    assert (RUDE, {"toxicity": 1.0}, None, None) in kept(state)


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory):
    """A folder in which npm has installed the clients."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no Node here")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text('{"private": true}')
    installed = subprocess.run(
        [shutil.which("npm"), "install", "--no-audit", "--no-fund", "--ignore-scripts", *JS_CLIENTS],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if installed.returncode != 0:
        pytest.skip(f"npm can't install the clients here: {installed.stderr.strip()[:200]}")
    return folder


@pytest.fixture
def node(node_folder, service):
    """Run lines of JavaScript beside the clients from npm; gives what they resolve to."""

    def run(lines):
        program = f"(async () => {{{lines}}})().then((v) => console.log(JSON.stringify(v)));"
        done = subprocess.run(
            [shutil.which("node"), "-e", program, *service],
            cwd=node_folder, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_the_official_client_in_javascript(node, expected):
    """It asks for SPAM and TOXICITY by default; its address is private in its types only."""
    scores, threat = node(f"""
        const {{ Client }} = require("@conversationai/perspectiveapi-js-client");
        const [address, key] = process.argv.slice(1);
        const client = new Client(key);
        client.perspectiveApiUrl = `${{address}}/v1alpha1/comments:analyze?key=${{key}}`;
        const context = {{ entries: [{{ text: "What do you think?" }}] }};
        return [
            await client.getScores({json.dumps(RUDE)}),
            await client.getScores("<b>" + {json.dumps(KIND)}, {{ attributes: ["THREAT"], context }}),
        ];
    """)
    assert scores == {"TOXICITY": expected(RUDE)}
    assert threat == {"THREAT": expected(KIND, 3)}


def test_a_client_in_javascript_by_an_interceptor(node, expected):
    """perspective-api-client 3.1.0: its host is a constant, which its own axios is told to replace."""
    scores, long, message = node(f"""
        const root = require.resolve("perspective-api-client");
        const axios = require(require.resolve("axios", {{ paths: [root] }}));
        const Perspective = require("perspective-api-client");
        const [address, key] = process.argv.slice(1);
        axios.interceptors.request.use((call) => {{
            call.url = call.url.replace("https://{HOST}", address);
            return call;
        }});
        const perspective = new Perspective({{ apiKey: key }});
        return [
            await perspective.analyze({json.dumps(RUDE)}, {{ attributes: ["toxicity", "spam"] }}),
            await perspective.analyze("ü".repeat(30000) + "!", {{ truncate: true }}),
            await new Perspective({{ apiKey: "AIza" }}).analyze("Hello").catch((error) => error.message),
        ];
    """)
    assert scores["attributeScores"]["TOXICITY"]["summaryScore"]["value"] == expected(RUDE)
    assert long["attributeScores"]["TOXICITY"]["spanScores"][0]["end"] == 20_480
    assert message == "API key not valid. Please pass a valid API key."


class TestCoral:
    """Coral 9: the requests it sends and what it reads of the answers."""

    @pytest.fixture
    def post(self, service):
        """The admin enters the address up to /v1alpha1 as the custom endpoint."""
        with httpx.Client(
            headers={"User-Agent": "Coral Perspective/9.11.8"}, timeout=0.8, follow_redirects=False
        ) as client:
            yield lambda method, body: client.post(
                f"{service[0]}/v1alpha1/comments:{method}", params={"key": service[1]}, json=body
            )

    @staticmethod
    def is_toxic(response, threshold=0.8):
        assert response.is_success
        assert len(response.content) < 2 << 20
        return response.json()["attributeScores"]["TOXICITY"]["summaryScore"]["value"] > threshold

    @staticmethod
    def body(text, language):
        return {
            "comment": {"text": text},
            "doNotStore": True,
            "requestedAttributes": {"TOXICITY": {}},
            "languages": [language],
        }

    @pytest.mark.parametrize("language", ["en", "es", "fr", "de", "pt"])
    def test_the_filter_works_in_every_locale(self, post, language):
        """A site's language is not its commenters': English is scored whatever the site's."""
        assert self.is_toxic(post("analyze", self.body(RUDE, language)))
        assert not self.is_toxic(post("analyze", self.body(KIND, language)))
        assert not self.is_toxic(post("analyze", self.body("ok", language)))

    def test_what_is_not_english_passes_coral_by(self, post):
        response = post("analyze", self.body(GERMAN, "de"))
        assert response.status_code == 400
        detail = response.json()["error"]["details"][0]["languageNotSupportedByAttributeError"]
        assert detail["requestedLanguages"] == ["de"]

    def test_moderators_decisions_are_kept(self, post, state):
        for number, value in enumerate((0, 1)):
            context = {"url": "https://news.example/1", "reply_to_id_Coral_comment_id": None}
            body = {
                "comment": {"text": RUDE},
                "context": {"entries": [{"text": json.dumps({**context, "Coral_comment_id": f"c{number}"})}]},
                "attributeScores": {"TOXICITY": {"summaryScore": {"value": value}}},
                "communityId": "Coral:https://talk.example",
                "clientToken": f"comment:c{number}",
            }
            response = post("suggestscore", body)
            assert response.json()["clientToken"] == f"comment:c{number}"
        decisions = [row for row in kept(state) if row[2] == "Coral:https://talk.example"]
        assert decisions == [
            (RUDE, {"toxicity": 0.0}, "Coral:https://talk.example", "comment:c0"),
            (RUDE, {"toxicity": 1.0}, "Coral:https://talk.example", "comment:c1"),
        ]


GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "perspective.md"


def lines_of(language):
    """Return the guide's blocks of code in a language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


class TestGuide:
    """The lines of the guide, as they stand there but for address and key."""

    @pytest.fixture
    def run(self, service, tmp_path):
        def run(program, lines, folder=tmp_path):
            lines = lines.replace("http://127.0.0.1:8080", service[0]).replace("YOUR_KEY", service[1])
            done = subprocess.run(
                [*program, lines], cwd=folder, capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        return run

    def test_curl(self, run):
        if shutil.which("curl") is None:
            pytest.skip("no curl here")
        (lines,) = lines_of("sh")
        assert set(json.loads(run(["sh", "-c"], lines))["attributeScores"]) == {"TOXICITY", "INSULT"}

    @pytest.mark.parametrize("number", range(3))
    def test_python(self, run, number, expected):
        for module in ("googleapiclient", "perspective", "PyPerspective"):
            pytest.importorskip(module)
        said = run([sys.executable, "-c"], lines_of("python")[number])
        assert float(re.search(r"0\.\d{3,}", said)[0]) == expected("You are an idiot")

    def test_thresholds(self, run, tmp_path):
        """Against scores that are ours, the thresholds found are those that were asked for."""
        endings = (
            "idiot,is stupid,is fine,is a moron,shut up,helps us,is damn rude,is garbage,sounds silly,was new"
        )
        openings = [f"{who} {when}" for who in ("You", "This plan", "My brother", "She") for when in "abcdef"]
        texts = [f"{opening} {ending}" for opening in openings for ending in endings.split(",")]
        scores = Screener().scores(texts)[:, 0]
        rows = [f'"{text}",{score}' for text, score in zip(texts, scores, strict=True)]
        (tmp_path / "scores.csv").write_text("\n".join(["text,TOXICITY", *rows]))
        (command,) = re.findall(
            r"^giantkiller (calibrate --like scores.csv)$", GUIDE.read_text(), re.MULTILINE
        )
        said = run(["sh", "-c"], f"{sys.executable} -m giantkiller {command} --json")
        for cut in json.loads(said)["attributes"]["toxicity"]["cuts"]:
            if cut["ours"] is not None:
                above = scores[scores >= cut["threshold"]]
                assert cut["ours"] == pytest.approx(above.min(), abs=1e-6)
                assert cut["same"] == 1

    @pytest.mark.parametrize("number", range(3))
    def test_node(self, run, node_folder, number, expected):
        said = run([shutil.which("node"), "-e"], lines_of("js")[number], node_folder)
        assert float(re.search(r"0\.\d{3,}", said)[0]) == expected("You are an idiot")
