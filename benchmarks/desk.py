"""How fast the desk is with much in it: `python benchmarks/desk.py --items 1000000 --waiting 100000`.

Fills a fresh database, then measures on it, in one run: the next item and an item's page (both as the pages
make them, in process), durable submissions through the writer from several threads, and beside them what
the disk itself gives: synced writes of one page. Prints a table, then one JSON line.

--database takes a PostgreSQL URL of an empty database; SQLite in a temporary folder otherwise.
"""

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path

from sqlalchemy import insert, select, text

from giantkiller.attributes import ATTRIBUTES
from giantkiller.desk import dossier, items, policies, queue, staff
from giantkiller.desk.config import read_settings
from giantkiller.desk.decisions import Choice, decide
from giantkiller.desk.tables import items as item_table
from giantkiller.desk.tables import tasks, versions
from giantkiller.policy import Policy
from giantkiller.store import open_store, utc_now

POLICY = Policy({"toxicity": {"review": 0.5, "remove": 0.9}})
TOGETHER = 5000


def fill(store, count, waiting):
    """Insert items and tasks as `submit` would leave them, without events: what queries see is the same."""
    now = utc_now()
    with store.read() as connection:
        settings = read_settings(connection)
    first = 1
    while first <= count:
        numbers = range(first, min(first + TOGETHER, count + 1))
        rows, texts, waits = [], [], []
        for n in numbers:
            created = now - timedelta(seconds=(count - n) * 2)
            score = 0.5 + n * 7919 % 500 / 1000
            waiting_now = n > count - waiting
            state = "review" if waiting_now else "approved"
            rows.append(
                {"number": n, "id": f"{n:024x}", "community": "default", "external": str(n),
                 "author": f"u{n % 5000}", "language": "en", "source": "bench", "state": state, "version": 1,
                 "fingerprint": f"{n % 50_000:064x}", "reports": 0, "posted": "2026-01-01",
                 "created": created, "updated": created}
            )  # fmt: skip
            scores = dict.fromkeys(ATTRIBUTES, 0.05) | {"toxicity": score}
            texts.append(
                {"item": n, "version": 1, "text": f"comment {n}, you idiot", "salt": "0", "digest": "0",
                 "scores": scores, "action": "review", "attribute": "toxicity", "score": score,
                 "why": "threshold", "model": "bench", "policy": 0, "created": created}
            )  # fmt: skip
            if waiting_now:
                waits.append(
                    {"kind": "first", "item": n, "community": "default", "attribute": "toxicity",
                     "language": "en", "source": "bench", "open": True, "for_lead": False,
                     "rank": items.rank(settings, scores, score, 0, created), "created": created}
                )  # fmt: skip
        with store.write() as connection:
            connection.execute(insert(item_table), rows)
            connection.execute(insert(versions), texts)
            if waits:
                connection.execute(insert(tasks), waits)
        first += TOGETHER
    if store.engine.dialect.name == "postgresql":
        with store.write() as connection:
            for table in ("desk_item", "desk_version", "desk_task"):
                sequence = f"pg_get_serial_sequence('{table}', 'number')"
                connection.execute(text(f"SELECT setval({sequence}, MAX(number)) FROM {table}"))
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


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
    return {
        f"{name}_{label}_ms": round(percentile(values, share), 2)
        for name, values in (("next", taking), ("item", looking), ("decide", deciding))
        for label, share in (("p50", 0.5), ("p95", 0.95))
    }


def submissions(store, threads, seconds):
    """Submit from several threads, each waiting for the disk; return how many a second."""
    policy = policies.default_policy(POLICY)
    scores = dict.fromkeys(ATTRIBUTES, 0.05) | {"toxicity": 0.3}
    counts = [0] * threads
    end = time.perf_counter() + seconds

    def work(thread):
        while time.perf_counter() < end:
            body = f"thread {thread} comment {counts[thread]}"
            judgement = policies.judge(policy, scores, body)
            comment = items.Comment(body, external=f"bench-{thread}-{counts[thread]}")

            def submit(connection, comment=comment, judgement=judgement):
                return items.submit(
                    connection, comment, scores, judgement, model="bench", policy=0,
                    settings=read_settings(connection), actor="key:bench", now=utc_now(),
                )  # fmt: skip

            store.submit(submit).result()
            counts[thread] += 1

    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / seconds


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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--database", help="PostgreSQL URL of an empty database")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder), arguments.database)
        began = time.perf_counter()
        fill(store, arguments.items, arguments.waiting)
        filled = time.perf_counter() - began
        disk = synced_writes(Path(folder))
        result = {
            "database": store.engine.dialect.name,
            "items": arguments.items,
            "waiting": arguments.waiting,
            "fill_seconds": round(filled, 1),
            **moderate(store, arguments.rounds),
            "submissions_per_second": round(submissions(store, arguments.threads, arguments.seconds), 1),
            "synced_writes_per_second": round(statistics.fmean([disk, synced_writes(Path(folder))]), 1),
        }
        with store.read() as connection:
            assert connection.execute(select(tasks.c.number).limit(1)).first()
        store.close()
    for name, value in result.items():
        print(f"{name:26} {value}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
