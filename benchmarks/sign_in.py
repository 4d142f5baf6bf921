"""Does a sign-in tell by its time whether a name exists: `python benchmarks/sign_in.py`.

Starts the service on loopback and signs in by HTTP, in turn, with a wrong password for a name that exists,
for one that does not, and for one whose owner's access has ended. Prints the times, their ratios to the
first, and how well the time alone tells two of them apart: the area under the ROC curve, 0.5 for not at all,
with what two halves of one kind give as the noise. One JSON line last. Needs the extra `dev`.
"""

import argparse
import itertools
import json
import secrets
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]  # before the imports of our own

from people import Person  # noqa: E402
from servers import running  # noqa: E402
from site_of import Site  # noqa: E402

from giantkiller.desk import staff  # noqa: E402
from giantkiller.desk.app import compose  # noqa: E402
from giantkiller.desk.tables import attempts  # noqa: E402
from giantkiller.store import utc_now  # noqa: E402


def auc(one: list[float], other: list[float]) -> float:
    """Return how often a time of the second kind is longer than one of the first; ties count half."""
    wins = sum((b > a) + 0.5 * (b == a) for a, b in itertools.product(one, other))
    return wins / (len(one) * len(other))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200, help="Sign-ins of each kind.")
    rounds = parser.parse_args().rounds
    with (
        tempfile.TemporaryDirectory() as state,
        running(compose, state=Path(state), log_level="error") as server,
    ):
        times, first = measure(Site(server), rounds)
    known = times["known"]
    result = {
        "rounds": rounds,
        "first_unknown_ms": round(first * 1000, 2),
        **{f"{kind}_ms": round(statistics.median(values) * 1000, 2) for kind, values in times.items()},
        **{
            f"{kind}_ratio": round(statistics.median(times[kind]) / statistics.median(known), 3)
            for kind in ("unknown", "ended")
        },
        "auc_noise": round(auc(known[::2], known[1::2]), 3),
        "auc_unknown": round(auc(known, times["unknown"]), 3),
        "auc_ended": round(auc(known, times["ended"]), 3),
    }
    for name, value in result.items():
        print(f"{name:18} {value}")
    print(json.dumps(result))


def measure(site: Site, rounds: int) -> tuple[dict[str, list[float]], float]:
    """Return the seconds of each kind of sign-in, and those of the very first one, for an unknown name."""
    stranger = Person(site.url)
    stranger.client.timeout = 120  # argon2 takes long on a busy machine
    first = timed(stranger, "somebody")  # whatever the server makes but once must not show, either
    admin, known, ended = site.person("admin"), site.person(), site.person()
    with site.store.write() as connection:
        number = {member.name: member.number for member in staff.list_staff(connection)}
        by = next(member for member in staff.list_staff(connection) if member.name == admin.name)
        staff.disable(connection, number[ended.name], by, now=utc_now())
    times: dict[str, list[float]] = {"known": [], "unknown": [], "ended": []}
    for _ in range(rounds):
        unknown = f"moderator-{secrets.token_hex(3)}"
        pairs = [("known", known.name), ("unknown", unknown), ("ended", ended.name)]
        secrets.SystemRandom().shuffle(pairs)
        for kind, name in pairs:
            times[kind].append(timed(stranger, name))
        with site.store.write() as connection:  # or the names would have to wait
            connection.execute(attempts.delete())
    return times, first


def timed(stranger: Person, name: str) -> float:
    """Return the seconds that a sign-in with a wrong password takes."""
    fields = {"name": name, "password": "not the password"}
    began = time.perf_counter()
    answer = stranger.client.post("/desk/sign-in", data=fields, headers={"Origin": stranger.url})
    seconds = time.perf_counter() - began
    assert answer.status_code == 403, answer.status_code
    return seconds


if __name__ == "__main__":
    main()
