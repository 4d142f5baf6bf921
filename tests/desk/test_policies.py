"""What a community's policy begins with."""

from dataclasses import replace

import pytest
from desks import BUNDLE

from giantkiller.desk.policies import presets
from giantkiller.policy import Policy

FAMILY = Policy({"toxicity": {"review": 0.1234567, "remove": 0.8}, "obscene": {"review": 0.7}})


def test_a_preset_means_on_the_desk_what_the_bundle_means_by_it():
    found = presets(BUNDLE, {"family": FAMILY, "strict": Policy({})})
    assert list(found) == ["family", "forum", "adults"]
    assert (found["family"].thresholds, found["family"].swearing) == (FAMILY.to_dict(), "counts")
    assert (found["forum"].thresholds, found["forum"].swearing) == (BUNDLE.to_dict(), "aimed")


def test_a_bundle_without_presets_lends_its_thresholds():
    found = presets(BUNDLE, {})
    remove = {name: policy.thresholds["toxicity"]["remove"] for name, policy in found.items()}
    assert remove == {"family": pytest.approx(0.54), "forum": 0.9, "adults": pytest.approx(0.93)}


def test_the_page_begins_with_the_presets_of_the_bundle_that_scores(site, monkeypatch):
    screener = site.server.service.screener
    monkeypatch.setattr(screener, "bundle", replace(screener.bundle, policies={"family": FAMILY}))
    page = site.person("lead").get("/desk/communities/default/policy?preset=family").text
    assert 'name="toxicity-review" inputmode="decimal" maxlength="8"' in page
    assert 'value="12.3457"' in page
