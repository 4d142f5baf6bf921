"""A whole life in a real browser: by keyboard, with the author's appeal and a real receiver of webhooks."""

import json
import os
from pathlib import Path

import pytest
from browser import browser, complaints
from people import PASSWORD, PAYLOADS
from receivers import Receiver, wait_for

from giantkiller.desk import outbox
from giantkiller.desk.tables import rulebooks
from giantkiller.store import utc_now

pytestmark = pytest.mark.slow


class Tab:
    """A browser, and what people do with it."""

    def __init__(self, driver, url):
        from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
        from selenium.webdriver.common.by import By
        from selenium.webdriver.support.ui import WebDriverWait

        self.driver, self.url, self.by = driver, url, By
        # An answer may replace the page while it is looked at.
        passing = (NoSuchElementException, StaleElementReferenceException)
        self.wait = WebDriverWait(driver, 30, ignored_exceptions=passing)

    def go(self, path):
        self.driver.get(self.url + path if path.startswith("/") else path)

    def find(self, css):
        return self.wait.until(lambda d: d.find_element(self.by.CSS_SELECTOR, css))

    def type(self, css, text):
        element = self.find(css)
        element.clear()
        element.send_keys(text)

    def press(self, key):
        """Press a key on the page itself."""
        self.wait.until(lambda d: d.find_element(self.by.TAG_NAME, "body").send_keys(key) or True)

    def see(self, text):
        self.wait.until(lambda d: text in d.find_element(self.by.TAG_NAME, "body").text)

    @property
    def text(self):
        return self.find("body").text

    def join(self, token, name):
        self.go(f"/desk/join/{token}")
        self.type("[name=name]", name)
        self.type("[name=password]", PASSWORD)
        self.type("[name=again]", PASSWORD)
        self.find("main button").click()
        self.see("Queue")

    def sign_in(self, name):
        self.go("/desk/sign-in")
        self.type("[name=name]", name)
        self.type("[name=password]", PASSWORD)
        self.find("main button").click()
        self.see("Queue")

    def sign_out(self):
        self.find("header form button").click()
        self.see("Sign in")


@pytest.fixture(scope="module")
def driver():
    with browser() as started:
        yield started


def test_a_life_by_keyboard(site, driver):
    receiver = Receiver()
    site.settings(undo_seconds=3)
    with site.store.write() as connection:
        outbox.add_webhook(connection, "forum", receiver.url, "test", now=utc_now())
        connection.execute(rulebooks.delete())
    tab = Tab(driver, site.url)
    try:
        tab.join(site.invite("moderator"), "first-hand")
        first = site.submit("You are a stupid idiot, really", id="b-1", author="u-1")
        second = site.submit("You stupid hurt idiot", id="b-2", author="u-2")
        tab.go("/desk")
        tab.press("n")
        tab.see("stupid")  # the threat comes first, and is covered
        assert not tab.find(".cover blockquote").is_displayed()
        tab.press("b")
        tab.wait.until(lambda d: tab.find(".cover blockquote").is_displayed())
        tab.press("3")
        tab.wait.until(lambda d: tab.find("input[value=threats]").is_selected())
        tab.press("r")
        tab.see("Your last decision leaves the house")
        assert site.state(second) == "removed"
        tab.press("u")
        tab.wait.until(lambda d: site.state(second) == "hidden")
        tab.press("3")
        tab.press("r")
        tab.wait.until(lambda d: site.state(second) == "removed")
        tab.see("Your last decision leaves the house")
        tab.press("?")
        tab.wait.until(lambda d: tab.find("#help").get_attribute("open") is not None)
        tab.press("a")
        tab.see("Nothing waits for you here")
        assert site.state(first) == "approved"
        assert complaints(driver) == []
        tab.sign_out()

        wait_for(lambda: len(receiver.got) == 2)
        removed = next(m for m in receiver.messages() if m["type"] == "comment.removed")
        tab.go(removed["data"]["statement"]["url"])
        tab.see("No threats")
        tab.type("textarea", "I meant the chess clock")
        tab.find("form button").click()
        tab.see("Your appeal has arrived")
        assert complaints(driver) == []

        tab.join(site.invite("lead"), "second-hand")
        tab.press("n")
        tab.see("I meant the chess clock")
        tab.type("textarea[name=reasons]", "a chess clock it is")  # letters are letters here, not keys
        tab.find("button[value=reverse]").click()
        tab.wait.until(lambda d: site.state(second) == "approved")
        wait_for(lambda: len(receiver.got) == 5)
        kinds = [m["type"] for m in receiver.messages()]
        assert kinds[2:] == ["appeal.received", "comment.restored", "appeal.decided"]
        for path in ("/desk/lead", "/desk/communities/default/policy", "/desk/decisions", "/desk/me"):
            tab.go(path)
            tab.find("h1")
        assert complaints(driver) == []
        tab.sign_out()
    finally:
        site.settings(undo_seconds=0)
        with site.store.write() as connection:
            for hook in outbox.list_webhooks(connection):
                if not hook["disabled"]:
                    outbox.disable_webhook(connection, hook["number"], "test", now=utc_now())
        receiver.close()


def test_hostile_texts_run_nothing_in_a_browser(site, driver):
    tab = Tab(driver, site.url)
    tab.join(site.invite("lead"), "careful-lead")
    for payload in PAYLOADS:
        text = f"You stupid idiot {payload}"
        site.submit(text, author=payload, url=payload, parent=payload, title=payload)
        tab.go("/desk")
        tab.press("n")
        tab.find("blockquote.text")
        shown = driver.execute_script("return document.querySelector('blockquote.text').textContent")
        assert shown == text
        count = "return document.querySelectorAll('main script, main img, main svg').length"
        assert driver.execute_script(count) == 0
        tab.press("a")
        tab.see("Nothing waits")
    assert complaints(driver) == []
    tab.sign_out()


RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
AXE = Path(os.environ.get("AXE_CORE", Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"))


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core (npm install axe-core; or AXE_CORE=.../axe.min.js)")
def test_pages_are_accessible(site, driver):
    tab = Tab(driver, site.url)
    tab.join(site.invite("admin"), "axe-admin")
    site.submit("You stupid idiot, two", id="axe")
    moderator = site.person()
    moderator.act(moderator.next(), "remove", rule="insults")
    wait_for(lambda: site.messages() and "statement" in site.messages()[-1]["data"])
    statement = site.messages()[-1]["data"]["statement"]["path"]
    site.submit("You stupid idiot, accessible", author="u", url="https://forum.example/1", parent="p")
    tab.go("/desk")
    tab.press("n")
    tab.find("blockquote.text")
    task = driver.current_url.removeprefix(site.url)
    paths = ["/desk", task, "/desk/decisions", "/desk/lead", "/desk/communities", "/desk/me", "/desk/staff",
             "/desk/communities/default/policy", "/desk/communities/default/rules", "/desk/webhooks",
             "/desk/settings", statement]  # fmt: skip
    source = AXE.read_text("utf-8")
    found = {}
    for path in paths:
        tab.go(path)
        tab.find("h1")
        # By the devtools: the page's own policy would let no script of ours in.
        driver.execute_cdp_cmd("Runtime.evaluate", {"expression": source})
        result = driver.execute_cdp_cmd(
            "Runtime.evaluate",
            {
                "expression": f"axe.run({{runOnly: {RULES}}}).then(r => JSON.stringify(r.violations.map("
                "v => [v.id, v.nodes.slice(0, 3).map(n => n.html)])))",
                "awaitPromise": True,
            },
        )
        violations = json.loads(result["result"]["value"])
        if violations:
            found[path] = violations
    assert found == {}
    tab.go("/desk")
    tab.sign_out()
