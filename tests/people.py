"""People at a browser without scripts: they load pages, fill forms and send them."""

import html
import re

import httpx

PASSWORD = "correct horse battery"
PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7777*7777 }}{% raw %}",
    "</textarea></title></style><script>alert(1)</script>",
    "<a href='javascript:alert(1)'>x</a>",
    "\u202egnp.exe \u2066<b>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<!--<script>-->",
)


class Person:
    """A browser that keeps cookies, and the token of the last page's forms."""

    def __init__(self, url):
        self.url = url
        self.client = httpx.Client(base_url=url, timeout=30, headers={"Accept-Language": "en"})
        self.page = ""

    def get(self, path, **more):
        return self._seen(self.client.get(path, **more))

    def post(self, path, fields=None, **more):
        """Send a form as the last page had it, with its token."""
        found = re.search(r'name="csrf" value="(\w*)"', self.page)
        fields = {"csrf": found[1] if found else "", **(fields or {})}
        headers = {"Origin": self.url, **more.pop("headers", {})}
        return self._seen(self.client.post(path, data=fields, headers=headers, **more))

    def _seen(self, response):
        if response.is_redirect:
            assert response.headers["location"].startswith("/")
            return self.get(response.headers["location"])
        if response.headers.get("content-type", "").startswith("text/html"):
            self.page = response.text
        return response

    @property
    def text(self):
        return html.unescape(re.sub(r"<[^>]+>", " ", self.page))

    def join(self, token, name):
        self.get(f"/desk/join/{token}")
        done = self.post(f"/desk/join/{token}", {"name": name, "password": PASSWORD, "again": PASSWORD})
        assert done.status_code == 200, self.text
        return self

    def sign_in(self, name, password=PASSWORD, **fields):
        self.get("/desk/sign-in")
        return self.post("/desk/sign-in", {"name": name, "password": password, **fields})

    def switch_on(self, path, fields):
        """Preview a policy, then switch it on."""
        assert self.post(path, {**fields, "do": "preview"}).status_code == 200
        mark = re.search(r'name="previewed" value="(\w+)"', self.page)[1]
        return self.post(path, {**fields, "do": "switch-on", "previewed": mark})

    def next(self, **filters):
        self.get("/desk")
        self.post("/desk/next", filters)
        found = re.search(r'action="/desk/tasks/(\d+)', self.page)
        return int(found[1]) if found else None

    def act(self, task, do, **fields):
        version = re.search(r'name="version" value="(\d+)"', self.page)
        return self.post(
            f"/desk/tasks/{task}", {"do": do, "version": version[1] if version else "", **fields}
        )
