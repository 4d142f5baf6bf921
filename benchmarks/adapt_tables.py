"""The tables of the study of adaptation."""

import argparse
import json
from typing import Any

import numpy as np
from adapt_arms import ABLATION, ARMS, EQUAL
from dendrite_study import interval, p_value, read_rows

Rows = list[dict[str, Any]]
ALLOWED = 0.005
MAIN = (500, 0.0, 1, "civil")
"""Decisions, noise, updates and what the dial watches in the case that decides."""


def report(options: argparse.Namespace) -> None:
    rows = read_rows(options.results)
    cases = sorted({case_of(row) for row in rows}, key=lambda case: (case != MAIN, case))
    for case in cases:
        count, noise, updates, guarded = case
        some = [row for row in rows if case_of(row) == case]
        updated = f", in {updates} updates" if updates > 1 else ""
        watched = ", situations guarded, too" if guarded == "both" else ""
        print(f"\n### {count} decisions{updated}, {noise:.0%} of the labels flipped{watched}\n")
        table(some)
    print()
    for case in [MAIN, (*MAIN[:-1], "both")]:
        some = [row for row in rows if case_of(row) == case]
        if some:
            print(json.dumps({"guarded": case[-1], **verdict(some)}).replace("NaN", "null"))


def case_of(row: dict[str, Any]) -> tuple[int, float, int, str]:
    return row["decisions"], row["noise"], row["updates"], guarded_of(row)


def guarded_of(row: dict[str, Any]) -> str:
    return row.get("guarded", "civil")


def table(rows: Rows) -> None:
    heads = ("site (AP before)", "arm", "learning", "seeds", "on the site", "civil", "situations")
    print(f"| {' | '.join(heads)} | share kept | CPU s |\n{'|---' * (len(heads) + 2)}|")
    for site in dict.fromkeys(row["site"] for row in rows):
        for arm in (*ARMS, *ABLATION):
            some = [row for row in rows if (row["arm"], row["site"]) == (arm, site)]
            if some:
                of = f"{site} ({mean(row['before'] for row in some):.3f})"
                print(f"| {of} | {arm} | {some[0]['parameters']:,} | {len(some)} | {line(some)} |")


def line(some: Rows) -> str:
    lost = [
        f"{-mean(row['loss'].get(part, np.nan) for row in some):+.3f}" for part in ("civil", "situations")
    ]
    share, seconds = (mean(row[name] for row in some) for name in ("share", "seconds"))
    return f"{spread([row['gain'] for row in some])} | {' | '.join(lost)} | {share:.2f} | {seconds:.0f}"


def mean(values: Any) -> float:
    return float(np.mean(list(values)))


def spread(values: list[float]) -> str:
    middle, low, high = interval(np.array(values))
    return f"{middle:+.3f}" + ("" if np.isnan(low) else f" ({low:+.3f} to {high:+.3f})")


def verdict(rows: Rows) -> dict[str, Any]:
    """Compare each arm with dendrites with the one of its size: paired by seed, Holm over the family."""
    sites = list(dict.fromkeys(row["site"] for row in rows))
    by_arm: dict[str, dict[str, dict[int, dict[str, Any]]]] = {}
    for row in rows:
        by_arm.setdefault(row["arm"], {}).setdefault(row["site"], {})[row["seed"]] = row
    compared: list[dict[str, Any]] = []
    for arm, other in EQUAL.items():
        for site in sites:
            ours, theirs = (by_arm.get(each, {}).get(site, {}) for each in (arm, other))
            seeds = sorted(ours.keys() & theirs.keys())
            if len(seeds) > 1:
                gaps = np.array([ours[seed]["gain"] - theirs[seed]["gain"] for seed in seeds])
                middle, low, high = (round(value, 4) for value in interval(gaps))
                found = {"gap": middle, "low": low, "high": high, "p": p_value(gaps), "seeds": len(seeds)}
                compared.append({"arm": arm, "less": other, "site": site, **found})
    holm(compared)
    return {
        "admissible": {
            arm: [site for site in found if admissible(list(found[site].values()))]
            for arm, found in by_arm.items()
        },
        "gain": {
            arm: mean(mean(row["gain"] for row in of.values()) for of in found.values())
            for arm, found in by_arm.items()
        },
        "compared": compared,
    }


def admissible(rows: Rows) -> bool:
    return max(mean(row["loss"][part] for row in rows) for part in rows[0]["loss"]) <= ALLOWED


def holm(compared: list[dict[str, Any]]) -> None:
    """Add p values that hold for the family (Holm 1979)."""
    most, order = 0.0, sorted(compared, key=lambda each: each["p"])
    for rank, each in enumerate(order):
        most = max(most, min(1.0, each["p"] * (len(order) - rank)))
        each["p by Holm"], each["p"] = round(most, 4), round(each["p"], 4)
