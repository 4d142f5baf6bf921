"""Killed at random moments under load: what was acknowledged is there, and the chain verifies.

GIANTKILLER_KILLS says how often; the default is a few. A hundred times on each database:
`GIANTKILLER_KILLS=100 pytest tests/desk/test_kill.py`.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from receivers import Receiver
from sqlalchemy import func, select

import giantkiller
from giantkiller.desk import events, outbox, staff
from giantkiller.desk.config import change_settings
from giantkiller.desk.tables import decisions, deliveries, items
from giantkiller.serve.keys import create_key
from giantkiller.store import open_store, utc_now

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL"),
]

KILLS = int(os.environ.get("GIANTKILLER_KILLS", "2"))
DECIDER = """
import sys
import time
from pathlib import Path
from giantkiller.desk import queue
from giantkiller.desk.config import read_settings
from giantkiller.desk.decisions import Choice, decide
from giantkiller.desk.staff import list_staff
from giantkiller.store import open_store, utc_now
store = open_store(Path(sys.argv[1]), sys.argv[2] or None)
with store.read() as connection:
    person = list_staff(connection)[0]
while True:
    with store.write() as connection:
        task = queue.next_task(connection, person, now=utc_now())
        done = task and decide(connection, task.number, person, Choice("remove", "insults"),
                               settings=read_settings(connection), now=utc_now())
    if done:
        print(done.id, flush=True)
    else:
        time.sleep(0.01)
"""


def start(state, url, model, log):
    environment = os.environ | {"PYTHONPATH": str(Path(giantkiller.__file__).parents[1])}
    if url:
        environment["GIANTKILLER_DATABASE"] = url
    program = [
        sys.executable,
        "-m",
        "giantkiller",
        "serve",
        "--state",
        str(state),
        "--model",
        str(model),
        "--port",
        "0",
    ]
    server = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    address = server.stdout.readline().split(" on ")[1].split(",")[0]
    decider = subprocess.Popen(
        [sys.executable, "-c", DECIDER, str(state), url or ""],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env=environment,
    )
    return server, decider, address


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_was_acknowledged_survives_kills(database, tiny_bundle, tmp_path, request):
    url = request.getfixturevalue("empty_postgresql") if database == "postgresql" else None
    state, receiver, chance = tmp_path / "state", Receiver(), random.Random(1)
    store = open_store(state, url)
    with store.write() as connection:
        key = create_key(connection, "test", ("submit",))
        staff.add_staff(connection, "one", "no hash", "moderator", now=utc_now())
        outbox.add_webhook(connection, "forum", receiver.url, "test", now=utc_now())
        change_settings(connection, {"undo_seconds": 0, "second_share": 0}, "test", now=utc_now())
    store.close()
    kept, decided = set(), set()
    with (tmp_path / "log").open("w") as log:
        for turn in range(KILLS):
            server, decider, address = start(state, url, tiny_bundle, log)
            stop = threading.Event()

            def submit(thread, turn=turn, address=address, stop=stop):
                with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}) as client:
                    number = 0
                    while not stop.is_set():
                        name = f"{turn}-{thread}-{number}"
                        number += 1
                        try:
                            answer = client.post(
                                "/v1/desk/items", json={"text": f"You stupid idiot {name}", "id": name}
                            )
                        except httpx.HTTPError:
                            time.sleep(0.05)
                            continue
                        if answer.status_code == 201:
                            kept.add(name)

            def read(decider=decider):
                decided.update(line.strip() for line in decider.stdout if line.endswith("\n"))

            threads = [threading.Thread(target=submit, args=(n,)) for n in range(3)]
            threads.append(threading.Thread(target=read))
            for thread in threads:
                thread.start()
            before = len(kept), len(decided)
            until = time.monotonic() + 60
            while time.monotonic() < until and (len(kept) == before[0] or len(decided) == before[1]):
                time.sleep(0.01)  # so that a busy machine is killed under load, too
            time.sleep(chance.random() * 2)
            for program in (server, decider):
                program.send_signal(signal.SIGKILL)
            for program in (server, decider):
                program.wait()
            stop.set()
            for thread in threads:
                thread.join()
            server.stdout.close()
            decider.stdout.close()
        server, decider, address = start(state, url, tiny_bundle, log)
        decider.kill()
        decider.wait()
        decider.stdout.close()
        try:
            store = open_store(state, url)
            with store.read() as connection:
                stored = set(connection.execute(select(items.c.external)).scalars())
                made = set(connection.execute(select(decisions.c.id)).scalars())
                assert events.verify(connection).problems == []
            assert kept
            assert decided
            assert kept <= stored
            assert decided <= made
            waiting = select(func.count()).select_from(deliveries).where(deliveries.c.state == "waiting")
            for _ in range(600):
                with store.read() as connection:
                    if not connection.execute(waiting).scalar_one():
                        break
                with store.write() as connection:  # what a killed worker had claimed need not wait a minute
                    connection.execute(deliveries.update().values(next_try=utc_now()))
                time.sleep(0.2)
            told = {json.loads(body)["data"]["decision"] for _, body in receiver.got}
            assert made <= told
            store.close()
        finally:
            server.terminate()
            server.wait()
            server.stdout.close()
            receiver.close()
