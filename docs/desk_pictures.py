"""Take the pictures of the desk in docs/images: `python docs/desk_pictures.py`.

Starts the service with the shipped model on loopback, fills it with a few comments, and lets Debian's
chromium look at each page.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]  # before the imports of our own

from browser import browser  # noqa: E402
from people import PASSWORD, Person  # noqa: E402
from servers import running  # noqa: E402
from site_of import Site  # noqa: E402

from giantkiller.desk.app import compose  # noqa: E402

COMMENTS = (
    ("You are a complete idiot and everyone here knows it.", "u-17"),
    ("I hope somebody hurts you for what you wrote.", "u-17"),
    ("What a stupid, worthless article.", "u-4"),
    ("Thanks, that helped me a lot.", "u-9"),
    ("Shut up, you pathetic clown.", "u-23"),
    ("People like you should not be allowed to vote.", "u-31"),
)


def main(folder: Path) -> None:
    """Take all pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as state,
        running(compose, state=Path(state), log_level="error") as server,
    ):
        site = Site(server)
        site.settings(second_share=0, undo_seconds=0)
        admin, helper = site.person("admin", "mira"), site.person("moderator", "jonas")
        for number, (text, author) in enumerate(COMMENTS):
            more = {"url": "https://forum.example/t/12", "title": "Should the city close the bridge?"}
            site.submit(text, author=author, id=str(number), parent="The bridge is fine as it is.", **more)
        helper.act(
            helper.next(), "remove", rule="threats", note="Please argue without wishing harm on anybody."
        )
        statement = site.messages()[-1]["data"]["statement"]["path"]
        author = Person(site.url)
        author.get(statement)
        with browser(1100, 1000) as driver:

            def take(name: str, path: str) -> None:
                driver.get(site.url + path)
                driver.save_screenshot(str(folder / f"desk-{name}.png"))
                print(folder / f"desk-{name}.png")

            take("sign-in", "/desk/sign-in")
            for field, value in (("name", admin.name), ("password", PASSWORD)):
                driver.find_element("name", field).send_keys(value)
            driver.find_element("css selector", "main button").click()
            take("queue", "/desk")
            helper.act(helper.next(), "leave")
            task = admin.next()
            take("item", f"/desk/tasks/{task}")
            for name, path in (
                ("overview", "/desk/lead"),
                ("policy", "/desk/communities/default/policy?preset=forum"),
                ("rules", "/desk/communities/default/rules"),
                ("staff", "/desk/staff"),
                ("webhooks", "/desk/webhooks"),
                ("me", "/desk/me"),
                ("decisions", "/desk/decisions"),
                ("statement", statement),
                ("statement-de", statement + "?lang=de"),
            ):
                take(name, path)
            driver.execute_cdp_cmd(
                "Emulation.setEmulatedMedia",
                {"features": [{"name": "prefers-color-scheme", "value": "dark"}]},
            )
            take("item-dark", f"/desk/tasks/{task}")
            driver.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True},
            )
            take("item-phone", f"/desk/tasks/{task}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
