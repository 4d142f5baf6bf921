"""A whole life in a real browser: by keyboard, with the author's appeal and a real receiver of webhooks."""

import secrets
from urllib.parse import quote

import pytest
from browser import AXE, browser, complaints, violations
from people import PASSWORD, PAYLOADS, Person
from receivers import Receiver, wait_for

from giantkiller.desk import outbox
from giantkiller.store import utc_now

pytestmark = pytest.mark.slow


class Tab:
    """A browser, and what people do with it."""

    def __init__(self, driver, url):
        from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.by import By
        from selenium.webdriver.common.keys import Keys
        from selenium.webdriver.support.ui import WebDriverWait

        self.driver, self.url, self.by, self.keys = driver, url, By, Keys
        self.chain = ActionChains
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

    def keyboard(self, *keys):
        """Press keys on whatever has the focus."""
        self.chain(self.driver).send_keys(*keys).perform()

    def walk(self, most=120):
        """Press Tab until the focus has gone round; return the beginning of each element that had it.

        Each must show that it has the focus.
        """
        seen = []
        for _ in range(most):
            self.keyboard(self.keys.TAB)
            html, outline = self.driver.execute_script(
                "const e = document.activeElement; return [e.outerHTML.slice(0, 80), "
                "getComputedStyle(e).outlineStyle]"
            )
            if html.startswith("<body") or html in seen[:1]:
                break
            assert outline != "none", html
            seen.append(html)
        return seen

    def walk_to(self, attribute, *keys, most=120):
        """Press Tab until an element with an attribute has the focus, then other keys."""
        name, value = attribute.split("=")
        for _ in range(most):
            self.keyboard(self.keys.TAB)
            at = self.driver.switch_to.active_element
            if at.get_attribute(name) == value:
                self.keyboard(*keys)
                return
        raise AssertionError(f"Tab never reaches {attribute}")

    def has(self, css):
        return bool(self.driver.find_elements(self.by.CSS_SELECTOR, css))

    def see(self, text):
        # In one step: between finding the body and reading it, another page may have come.
        self.wait.until(lambda d: text in d.execute_script("return document.body?.innerText ?? ''"))

    @property
    def words(self):
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
                if not hook.disabled:
                    outbox.disable_webhook(connection, hook.number, "test", now=utc_now())
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


def plant(site, payload):
    """Put a payload into every field that somebody else fills, and return the pages that show it."""
    lead, admin, other = site.person("lead"), site.person("admin"), site.person()
    admin.get("/desk/communities")
    name = "c" + secrets.token_hex(4)
    admin.post("/desk/communities", {"id": name, "name": payload, "language": "en"})
    rules = f"/desk/communities/{name}/rules"
    lead.get(rules)
    rule = {"id": "x", "title": payload, "text": payload, "ground": "law", "legal": payload, "url": ""}
    lead.post(rules, rule | {"category": "OTHER_VIOLATION_TC", "keyword": "", "attribute": ""})
    policy = f"/desk/communities/{name}/policy"
    lead.get(policy)
    lead.switch_on(policy, {"toxicity-review": "50", "watched": payload, "allowed": payload})
    fields = dict.fromkeys(("author", "url", "parent", "title"), payload)
    sent = site.submit(f"You stupid idiot {payload}", id=payload[:200], community=name, **fields)
    site.server.post(f"/v1/desk/items/{sent['id']}/reports", {"reason": payload, "reporter": payload})
    other.act(other.next(), "remove", rule="x", note=payload, internal=payload)
    told = [m for m in site.messages() if m["data"].get("item") == sent["id"]]
    statement = told[0]["data"]["statement"]["path"]
    author = Person(site.url)
    author.get(statement)
    author.post(statement, {"text": payload})
    lead.act(lead.next(), "uphold", reasons=payload)
    admin.get("/desk/webhooks")
    hook = {"do": "add", "name": payload[:64], "url": f"http://127.0.0.1:9/{payload}".split()[0]}
    admin.post("/desk/webhooks", hook)
    site.submit(f"You stupid idiot again {payload}", community=name, **fields)
    return [statement, rules, policy, f"/desk/items/{sent['id']}", "/desk/communities", "/desk/decisions",
            "/desk/lead", "/desk/webhooks", "/desk", f"/desk?community={quote(payload)}"]  # fmt: skip


def test_hostile_texts_run_nothing_on_any_page(site, driver):
    tab = Tab(driver, site.url)
    tab.join(site.invite("admin"), "careful-admin")
    paths = dict.fromkeys(path for payload in PAYLOADS for path in plant(site, payload))
    foreign = (
        "return document.querySelectorAll('main script, main img, main svg:not(.chart), main b, [onload], "
        "[onerror], [href^=javascript i]').length"
    )
    try:
        for path in paths:
            tab.go(path)
            tab.find("h1")
            assert driver.execute_script(foreign) == 0, path
        tab.go("/desk")
        tab.press("n")
        looked = 0
        while True:  # and in hand, beside earlier decisions on the same author
            tab.wait.until(lambda d: tab.has("blockquote.text") or "Nothing waits" in tab.words)
            if not tab.has("blockquote.text"):
                break
            assert driver.execute_script(foreign) == 0
            looked += 1
            address = driver.current_url
            tab.find("button[value=skip]").click()
            tab.wait.until(lambda d, address=address: d.current_url != address)
        assert looked
        assert complaints(driver) == []
    finally:
        tab.go("/desk")
        tab.sign_out()
        with site.store.write() as connection:
            for hook in outbox.list_webhooks(connection):
                if not hook.disabled:
                    outbox.disable_webhook(connection, hook.number, "test", now=utc_now())


def test_everything_is_reached_by_the_keyboard_alone(site, driver):
    """Tab and Enter only: nothing that can be pressed is out of reach, and what has the focus shows it."""
    tab = Tab(driver, site.url)
    invited = site.invite("moderator")
    tab.go(f"/desk/join/{invited}")
    tab.walk_to("name=name", "keyboard-only")
    tab.walk_to("name=password", PASSWORD)
    tab.walk_to("name=again", PASSWORD + tab.keys.ENTER)
    tab.see("Queue")
    submitted = site.submit("You stupid hurt idiot", parent="p", author="u")
    tab.go("/desk")
    tab.keyboard(tab.keys.TAB, tab.keys.ENTER)
    assert driver.execute_script("return document.activeElement.id") == "main"  # past the navigation
    tab.walk_to("data-key=n", tab.keys.ENTER)
    tab.find(".cover summary")
    pressable = "a[href], button, input:not([type=hidden]), textarea, summary"
    seen = tab.walk()
    missed = driver.execute_script(
        f"return [...document.querySelectorAll('{pressable}')].filter(e => e.checkVisibility() && "
        "!(e.type === 'radio' && !e.checked)).map(e => e.outerHTML.slice(0, 80))"
    )
    assert [html for html in missed if html not in seen] == []
    tab.walk_to("data-key=b", tab.keys.ENTER)
    tab.wait.until(lambda d: tab.find(".cover blockquote").is_displayed())
    tab.walk_to("value=remove", tab.keys.ENTER)
    tab.wait.until(lambda d: site.state(submitted) == "removed")
    tab.see("Nothing waits for you here")
    assert complaints(driver) == []
    tab.sign_out()


def test_pages_fit_a_phone(site, driver):
    """Nothing has to be scrolled sideways at 360 pixels, not even by a word without a blank."""
    tab = Tab(driver, site.url)
    tab.join(site.invite("admin"), "phone-admin")
    sent = site.submit(
        "You stupid idiot " + "w" * 300, author="a" * 100, url="https://forum.example/" + "1" * 99
    )
    moderator = site.person()
    moderator.act(moderator.next(), "remove", rule="insults", note="n" * 200)
    told = [m["data"] for m in site.messages() if m["type"] == "comment.removed"]
    site.submit("You stupid idiot " + "v" * 300, author="a" * 100)
    wide = []
    try:
        phone = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
        tab.go("/desk")
        tab.press("n")
        tab.find("blockquote.text")
        task = driver.current_url.removeprefix(site.url)
        for path in ("/desk", task, "/desk/decisions", f"/desk/items/{sent['id']}", "/desk/lead", "/desk/me",
                     "/desk/model", "/desk/years/2026", "/desk/communities",
                     "/desk/communities/default/policy",
                     "/desk/communities/default/rules", "/desk/staff", "/desk/webhooks", "/desk/settings",
                     told[-1]["statement"]["path"]):  # fmt: skip
            tab.go(path)
            tab.find("h1")
            width = driver.execute_script("return document.documentElement.scrollWidth")
            if width > 360:
                wide.append((path, width))
        assert wide == []
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        tab.go("/desk")
        tab.sign_out()


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core here (`npm ci` in web/)")
def test_pages_are_accessible(site, driver):
    """Each page by axe, in light and in dark."""
    tab = Tab(driver, site.url)
    invited = site.invite("admin")
    found = {}

    def look(path):
        tab.go(path)
        tab.find("h1")
        for scheme in ("light", "dark"):
            feature = {"name": "prefers-color-scheme", "value": scheme}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
            dark = driver.execute_script("return matchMedia('(prefers-color-scheme: dark)').matches")
            assert dark == (scheme == "dark")
            if wrong := violations(driver):
                found[path, scheme] = wrong

    for path in ("/desk/sign-in", f"/desk/join/{invited}", "/s/nothing"):
        if path == "/s/nothing":
            tab.go(path)
            assert violations(driver) == []
        else:
            look(path)
    tab.join(invited, "axe-admin")
    sent = [site.submit(f"You stupid idiot, {word}", id=f"axe-{word}", author="a") for word in ("one", "two")]
    moderator = site.person()
    for _ in sent:
        moderator.act(moderator.next(), "remove", rule="insults", note="Please be kind", internal="twice")
    told = [m["data"] for m in site.messages() if m["type"] == "comment.removed"][-2:]
    statement, appealed = (one["statement"]["path"] for one in told)
    author = Person(site.url)
    author.get(appealed)
    author.post(appealed, {"text": "I meant the clock"})
    tab.go("/desk")
    tab.press("n")
    tab.see("I meant the clock")
    look(driver.current_url.removeprefix(site.url))
    tab.find("button[value=skip]").click()
    site.submit("You stupid idiot, accessible", author="a", url="https://forum.example/1", parent="p")
    tab.go("/desk")
    tab.press("n")
    tab.find("blockquote.text")
    task = driver.current_url.removeprefix(site.url)
    for path in ("/desk", task, "/desk/decisions", f"/desk/items/{sent[0]['id']}", "/desk/lead", "/desk/me",
                 "/desk/model", "/desk/years/2026", "/desk/communities", "/desk/communities/default/policy",
                 "/desk/communities/default/rules",
                 "/desk/staff", "/desk/webhooks", "/desk/settings", statement, appealed):  # fmt: skip
        look(path)
    tab.go("/desk/communities/default/policy")
    tab.find("button[value=preview]").click()
    tab.find("#preview")
    assert violations(driver) == []
    tab.go("/desk/me")
    tab.find("form[action='/desk/me/totp'] button").click()
    tab.find(".qr svg")
    assert violations(driver) == []
    tab.go(task)
    for summary in driver.find_elements(tab.by.CSS_SELECTOR, "main details > summary"):
        driver.execute_script("arguments[0].parentNode.open = true", summary)
    assert violations(driver) == []  # the text uncovered, in the dark
    assert found == {}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    tab.go("/desk")
    tab.sign_out()
