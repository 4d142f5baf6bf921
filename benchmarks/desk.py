"""How fast the desk is with much in it: `python benchmarks/desk.py --items 1000000 --waiting 100000`.

Fills a fresh database, then measures on it, in one run: the next item, an item's page and a decision in
process; the same by HTTP on loopback, as a moderator's browser asks for them, with the shipped model and the
marked words; durable submissions through the writer from several threads, and by HTTP; and beside them what
the disk itself gives: synced writes of one page; then every page that lists or counts. Processor
times are the whole process's, the client's part among them. Prints a table, then one JSON line.

SQLite in a temporary folder; with --postgresql a PostgreSQL server of its own, by the programs that the tests
use; --database takes the URL of an empty PostgreSQL database. Needs the extra `dev`.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]  # before the imports of our own

from postgresql_server import find_programs, postgresql_server  # noqa: E402
from servers import running  # noqa: E402
from site_of import Site  # noqa: E402
from sqlalchemy import insert, select, text  # noqa: E402

from giantkiller.attributes import ATTRIBUTES  # noqa: E402
from giantkiller.desk import dossier, intake, items, policies, queue, staff  # noqa: E402
from giantkiller.desk.app import compose  # noqa: E402
from giantkiller.desk.config import read_settings  # noqa: E402
from giantkiller.desk.decisions import Choice, decide  # noqa: E402
from giantkiller.desk.submitting import Submission, prepare  # noqa: E402
from giantkiller.desk.tables import appeals, decisions, statements, tasks, versions  # noqa: E402
from giantkiller.desk.tables import items as item_table  # noqa: E402
from giantkiller.policy import Policy  # noqa: E402
from giantkiller.store import open_store, utc_now  # noqa: E402

POLICY = Policy({"toxicity": {"review": 0.5, "remove": 0.9}})
TOGETHER = 5000


PEOPLE = 20
DECIDED_ONE_IN = 4  # of the comments that wait no more
LANGUAGES = ("en", "en", "en", "de", "fr")


def fill(store, count, waiting, apart):
    """Insert what a desk has after a while, but for the log: what the queries of pages read is the same.

    Comments came `apart` seconds after each other; the last ones wait, of the others people have decided one
    in four.
    """
    now = utc_now()
    with store.write() as connection:
        settings = read_settings(connection)
        people = [
            staff.add_staff(connection, f"person{n}", "no hash", "moderator", now=now).number
            for n in range(PEOPLE)
        ]
    for first in range(1, count + 1, TOGETHER):
        rows = {table: [] for table in (item_table, versions, tasks, decisions, statements, appeals)}
        for n in range(first, min(first + TOGETHER, count + 1)):
            created = now - timedelta(seconds=(count - n) * apart)
            add(rows, n, created, n > count - waiting, people, settings)
        with store.write() as connection:
            for table, several in rows.items():
                if several:
                    connection.execute(insert(table), several)
    if store.engine.dialect.name == "postgresql":
        with store.write() as connection:
            advance_sequences(connection)
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))  # as the server does by itself before long


def add(rows, n, created, waits, people, settings):
    """Add the rows of one comment."""
    score = 0.5 + n * 7919 % 500 / 1000
    decided = not waits and n % DECIDED_ONE_IN == 0
    outcome = "remove" if n % (2 * DECIDED_ONE_IN) else "allow"
    state = (
        "review" if waits else "allowed" if not decided else {"remove": "removed"}.get(outcome, "approved")
    )
    about = {"community": "default", "language": LANGUAGES[n % len(LANGUAGES)], "source": f"source {n % 7}"}
    rows[item_table].append(
        {**about, "number": n, "id": f"{n * 2654435761 % 2**64:024x}", "external": str(n),
         "author": f"u{n % 5000}", "state": state, "version": 1, "fingerprint": f"{n % 50_000:064x}",
         "reports": 0, "posted": "2026-01-01", "created": created, "updated": created}
    )  # fmt: skip
    scores = dict.fromkeys(ATTRIBUTES, 0.05) | {"toxicity": score}
    rows[versions].append(
        {"item": n, "version": 1, "text": f"comment {n}, you idiot", "salt": "0", "digest": "0",
         "scores": scores, "action": "review", "attribute": "toxicity", "score": score,
         "why": "threshold", "model": "bench", "policy": 0, "created": created}
    )  # fmt: skip
    if waits or decided:
        place = items.rank(settings, scores, score, 0, created)
        rows[tasks].append(
            {**about, "number": n, "kind": "first", "item": n, "attribute": ATTRIBUTES[n % 3], "open": waits,
             "for_lead": False, "rank": place, "created": created}
        )  # fmt: skip
    if decided:
        rows[decisions].append(
            {"number": n, "id": f"{n:024x}", "batch": f"{n:024x}", "item": n, "version": 1, "task": n,
             "kind": "first", "outcome": outcome, "staff": people[n // 4 % PEOPLE], "before": "review",
             "rule": "insults" if outcome == "remove" else None, "effective": True,
             "rulebook": 0 if outcome == "remove" else None,
             "overturned": n % 400 == 0, "seconds": n % 61 / 3, "created": created, "release": created}
        )  # fmt: skip
    if decided and n % 400 == 4:
        rows[statements].append(
            {"number": n, "decision": n, "item": n, "audience": "author", "token": f"{n:064x}",
             "language": "en", "facts": {}, "created": created, "told": created}
        )  # fmt: skip
        rows[appeals].append(
            {"statement": n, "decision": n, "item": n, "text": "why", "state": "upheld", "answer": "so",
             "staff": people[(n // 4 + 1) % PEOPLE], "created": created, "decided": created}
        )  # fmt: skip


def advance_sequences(connection):
    for table in ("item", "version", "task", "decision", "statement", "appeal"):
        sequence = f"pg_get_serial_sequence('desk_{table}', 'number')"
        connection.execute(text(f"SELECT setval({sequence}, MAX(number)) FROM desk_{table}"))


def percentile(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] * 1000


def moderate(store, rounds):
    """Take, look at and decide items; return milliseconds of each step."""
    with store.write() as connection:
        person = staff.add_staff(connection, "bench", "no hash", "moderator", now=utc_now())
    taking, looking, deciding = [], [], []
    for _ in range(rounds):
        began = time.perf_counter()
        with store.write() as connection:
            task = queue.next_task(connection, person, now=utc_now())
        taking.append(time.perf_counter() - began)
        began = time.perf_counter()
        with store.read() as connection:
            dossier.gather(connection, task, POLICY, now=utc_now())
        looking.append(time.perf_counter() - began)
        began = time.perf_counter()
        with store.write() as connection:
            choice = Choice("remove", "insults")
            decide(connection, task.number, person, choice, settings=read_settings(connection), now=utc_now())
        deciding.append(time.perf_counter() - began)
    return percentiles(next=taking, item=looking, decide=deciding)


def submissions(store, threads, seconds):
    """Submit from several threads, each waiting for the disk; return how many a second, and what each costs.

    One comment in ten waits for a person.
    """
    policy = policies.default_policy(POLICY)
    mild, bad = (dict.fromkeys(ATTRIBUTES, 0.05) | {"toxicity": score} for score in (0.3, 0.6))
    counts = [0] * threads
    end = time.perf_counter() + seconds

    def work(thread):
        while time.perf_counter() < end:
            body = f"thread {thread} comment {counts[thread]}"
            scores = mild if counts[thread] % 10 else bad
            judgement = policies.judge(policy, scores, body)
            prepared = prepare(items.Comment(body, external=f"bench-{thread}-{counts[thread]}"))
            submission = Submission(prepared, scores, judgement, "bench", 0, "key:bench")
            store.submit_together(intake.keep, intake.Delivery([submission])).result()
            counts[thread] += 1

    began = time.process_time()
    in_threads(work, threads)
    spent = time.process_time() - began
    return {
        "submissions_per_second": round(sum(counts) / seconds, 1),
        "submission_processor_us": round(spent / sum(counts) * 1e6),
    }


def percentiles(**values):
    """Return the middle and the 95th of a hundred of each, in milliseconds."""
    return {
        f"{name}_{label}_ms": round(percentile(times, share), 2)
        for name, times in values.items()
        for label, share in (("p50", 0.5), ("p95", 0.95))
    }


def pages(site, rounds):
    """Moderate by HTTP; return milliseconds of each request: next, the item's page, the decision."""
    person = site.person()
    client = person.client
    person.get("/desk")
    csrf = person.page.split('name="csrf" value="')[1].split('"')[0]
    taking, looking, deciding = [], [], []

    def timed(into, method, path, **fields):
        data = {"csrf": csrf, **fields} if method == "POST" else None
        began = time.perf_counter()
        answer = client.request(method, path, data=data, headers={"Origin": site.url})
        into.append(time.perf_counter() - began)
        assert answer.status_code in (200, 303), answer.status_code
        return answer

    timed([], "POST", "/desk/me", break_every="0")  # no pauses between decisions
    for _ in range(rounds):
        place = timed(taking, "POST", "/desk/next").headers["location"]
        assert "<mark" in timed(looking, "GET", place).text
        place = timed(deciding, "POST", place.split("?")[0], do="remove", rule="insults").headers["location"]
        timed([], "POST", place.split("?")[0], do="leave")  # so that nothing is in hand
    return percentiles(http_next=taking, http_item=looking, http_decide_and_next=deciding)


PAGES = {
    "queue": "/desk",
    "queue_filtered": "/desk?language=fr&source=source+3",
    "decisions": "/desk/decisions",
    "decisions_of_one": "/desk/decisions?staff=2",
    "decisions_differing": "/desk/decisions?differing=1",
    "overview": "/desk/lead",
    "year": "/desk/years/{year}",
    "communities": "/desk/communities",
    "policy": "/desk/communities/default/policy",
    "rules": "/desk/communities/default/rules",
    "staff": "/desk/staff",
    "webhooks": "/desk/webhooks",
    "settings": "/desk/settings",
    "model": "/desk/model",
    "me": "/desk/me",
}


def lists(site, rounds):
    """Load each page with nothing in hand; return its middle milliseconds, and the least processor time."""
    admin, moderator = site.person("admin"), site.person()
    found = {}
    for name, path in {**PAGES, "queue_of_a_moderator": "/desk"}.items():
        client = (moderator if name == "queue_of_a_moderator" else admin).client
        times, spent = [], []
        for _ in range(rounds):
            began, before = time.perf_counter(), time.process_time()
            answer = client.get(path.format(year=utc_now().year))
            times.append((time.perf_counter() - began) * 1000)
            spent.append((time.process_time() - before) * 1000)
            assert answer.status_code == 200, (path, answer.status_code)
        if name == "overview":  # counts what later loads find in memory
            found["page_overview_first_ms"] = round(times[0], 1)
        found[f"page_{name}_ms"] = round(statistics.median(times), 1)
        found[f"page_{name}_processor_ms"] = round(min(spent), 1)
    return found


def posts(site, clients, seconds):
    """Submit by HTTP from another process, which takes a core of its own; return how many a second."""
    order = (site.server.port, site.server.bearer, clients, seconds)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        return other.submit(post_all, *order).result() / seconds


def post_all(port, bearer, clients, seconds):
    """Submit over several connections, each waiting for its answers; return how many were taken."""
    counts, began = [0] * clients, time.time_ns()
    ready = threading.Barrier(clients)

    def work(client):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.connect()
        ready.wait()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            name = f"http-{began}-{client}-{counts[client]}"
            body = json.dumps({"text": f"thanks {name}", "id": name})
            connection.request("POST", "/v1/desk/items", body, bearer)
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status == 201, said
            counts[client] += 1
        connection.close()

    in_threads(work, clients)
    return sum(counts)


def in_threads(work, count):
    workers = [threading.Thread(target=work, args=(n,)) for n in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def synced_writes(folder, seconds=3.0):
    """Write and sync one page again and again; return how many a second."""
    path = folder / "probe"
    with path.open("wb", buffering=0) as file:
        count, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            file.write(b"\0" * 4096)
            os.fsync(file.fileno())
            count += 1
    path.unlink()
    return count / seconds


def measure(folder, url, arguments):
    """Fill a database and measure on it."""
    store = open_store(folder, url)
    began = time.perf_counter()
    fill(store, arguments.items, arguments.waiting, arguments.apart)
    filled = time.perf_counter() - began
    disk = synced_writes(folder)
    result = {
        "database": store.engine.dialect.name,
        "items": arguments.items,
        "waiting": arguments.waiting,
        "fill_seconds": round(filled, 1),
        **moderate(store, arguments.rounds),
        **submissions(store, arguments.threads, arguments.seconds),
        "synced_writes_per_second": 0.0,
    }
    store.close()
    with running(compose, state=folder, database=url, log_level="error") as server:
        site = Site(server)
        result |= pages(site, arguments.rounds) | lists(site, 5)
        result["http_submissions_per_second"] = round(posts(site, arguments.clients, arguments.seconds), 1)
        with site.store.read() as connection:
            assert connection.execute(select(tasks.c.number).limit(1)).first()
    result["synced_writes_per_second"] = round(statistics.fmean([disk, synced_writes(folder)]), 1)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--apart", type=float, default=2, help="Seconds from one comment to the next.")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--threads", type=int, default=64, help="That submit in process.")
    parser.add_argument("--clients", type=int, default=16, help="That submit by HTTP.")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--postgresql", action="store_true", help="On a PostgreSQL server of its own.")
    parser.add_argument("--database", help="PostgreSQL URL of an empty database")
    arguments = parser.parse_args()
    if arguments.postgresql and find_programs() is None:
        sys.exit("no PostgreSQL server here (Debian: apt-get install postgresql)")
    server = postgresql_server() if arguments.postgresql else nullcontext(arguments.database)
    with tempfile.TemporaryDirectory() as folder, server as url:
        result = measure(Path(folder), url, arguments)
    for name, value in result.items():
        print(f"{name:30} {value}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
