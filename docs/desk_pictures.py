"""Take the pictures of the desk in docs/images: `python docs/desk_pictures.py`.

Starts the service with the shipped model on loopback, fills it with a few comments, and lets Debian's
chromium look at each page. Needs the extra `dev` (Selenium, Pillow).
"""

import io
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]  # before the imports of our own

from browser import browser  # noqa: E402
from people import PASSWORD, Person  # noqa: E402
from PIL import Image  # noqa: E402
from servers import running  # noqa: E402
from site_of import Site  # noqa: E402

from giantkiller.bundle import MANIFEST, write_bundle  # noqa: E402
from giantkiller.desk import lineup  # noqa: E402
from giantkiller.desk.app import compose  # noqa: E402
from giantkiller.store import utc_now  # noqa: E402

WIDTH, HEIGHT = 1000, 840
COLOURS = 64
"""Of a picture: pages have few, and a palette makes files small."""

COMMENTS = (
    ("You are a complete idiot and everyone here knows it.", "u-17"),
    ("I hope somebody hurts you for what you wrote.", "u-17"),
    ("What a stupid, worthless article.", "u-4"),
    ("Thanks, that helped me a lot.", "u-9"),
    ("Shut up, you pathetic clown.", "u-23"),
    ("People like you should not be allowed to vote.", "u-31"),
    ("Nobody asked for the opinion of a moron.", "u-4"),
)
THREAD = {"url": "https://forum.example/t/12", "title": "Should the city close the bridge?"}


def main(folder: Path) -> None:
    """Take all pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as state,
        running(compose, state=Path(state), log_level="error", shadow=1) as server,
        browser(WIDTH, HEIGHT) as driver,
    ):
        driver.set_window_size(WIDTH, HEIGHT)

        def take(name: str, path: str) -> None:
            driver.get(server.url + path)
            picture = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
            flat = picture.quantize(COLOURS, dither=Image.Dither.NONE)
            flat.save(folder / f"desk-{name}.png", optimize=True)
            print(folder / f"desk-{name}.png")

        walk(Site(server), driver, take)


def walk(site: Site, driver, take: Callable[[str, str], None]) -> None:
    """Fill a desk and look at each of its pages."""
    site.settings(second_share=0, undo_seconds=0)
    take("join", f"/desk/join/{site.invite('admin')}")
    take("sign-in", "/desk/sign-in")
    admin, helper = site.person("admin", "mira"), site.person("moderator", "jonas")
    for field, value in (("name", admin.name), ("password", PASSWORD)):
        driver.find_element("name", field).send_keys(value)
    driver.find_element("css selector", "main button").click()
    take("first", "/desk")
    try_calmer(site)
    sent = [
        site.submit(text, author=author, id=str(number), parent="The bridge is fine as it is.", **THREAD)
        for number, (text, author) in enumerate(COMMENTS)
    ]
    site.server.post(f"/v1/desk/items/{sent[0]['id']}/reports", {"reason": "rude", "reporter": "u-9"})
    note = "Please argue without wishing harm on anybody."
    helper.act(helper.next(), "remove", rule="threats", note=note)
    helper.act(helper.next(), "remove", rule="insults")
    told = [m["data"] for m in site.messages() if m["type"] == "comment.removed"]
    statement = told[0]["statement"]["path"]
    author = Person(site.url)
    author.get(statement)
    author.post(statement, {"text": "I meant the bridge, not the person: nobody should be hurt by it."})
    author.get(told[1]["statement"]["path"])
    helper.act(helper.next(), "leave")
    take("queue", "/desk")
    while "0 comments were scored by both" in admin.get("/desk/model").text:  # it does that when it has time
        time.sleep(0.1)
    task = admin.next(kind="first")
    take("item", f"/desk/tasks/{task}")
    for name, path in (
        ("decisions", "/desk/decisions"),
        ("history", f"/desk/items/{told[0]['item']}"),
        ("overview", "/desk/lead"),
        ("year", "/desk/years/2026"),
        ("communities", "/desk/communities"),
        ("policy", "/desk/communities/default/policy?preset=family"),
        ("rules", "/desk/communities/default/rules"),
        ("model", "/desk/model"),
        ("staff", "/desk/staff"),
        ("webhooks", "/desk/webhooks"),
        ("settings", "/desk/settings"),
        ("me", "/desk/me"),
        ("statement", told[1]["statement"]["path"]),
        ("statement-de", told[1]["statement"]["path"] + "?lang=de"),
    ):
        take(name, path)
    media = {"name": "prefers-color-scheme", "value": "dark"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [media]})
    take("item-dark", f"/desk/tasks/{task}")
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    take("item-phone", f"/desk/tasks/{task}")
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    admin.act(task, "leave")
    take("appeal", f"/desk/tasks/{admin.next(kind='appeal')}")


def try_calmer(site: Site) -> None:
    """Try a candidate: the shipped bundle, as if a site's decisions had made it calmer about insults."""
    service = site.server.service
    shipped = service.screener.bundle
    calm = {
        attribute: replace(fitted, intercept=fitted.intercept - (attribute in ("toxicity", "insult")))
        for attribute, fitted in shipped.calibration.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        files = {name: shipped.folder / name for name in shipped.files if name != MANIFEST}
        write_bundle(Path(folder) / "ours", replace(shipped, name="ours", calibration=calm), files)
        digest = lineup.add(service.store, service.settings, f"{folder}/ours", "command", now=utc_now())
    lineup.try_out(service.store, service.settings, digest, "command", now=utc_now())
    while service.shadow.digest != digest:  # which the service looks for
        time.sleep(0.1)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
