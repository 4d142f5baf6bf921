"""What the two studies of dendrites share: arms run seed by seed, resumable, and intervals over seeds."""

import argparse
import copy
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from giantkiller.dendrites import parameters, perforate

WHERE = r"encoder|pooler|classifier"
Row = dict[str, Any]


def grown_size(model: torch.nn.Module) -> int:
    """Number of weights that a model has with one dendrite a neuron."""
    model = copy.deepcopy(model)
    for name in perforate(model, where=WHERE):
        model.get_submodule(name).grow()
    return parameters(model).total


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and its 95 % interval by Student's t."""
    mean = float(values.mean())
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def p_value(gains: np.ndarray) -> float:
    """Two-sided paired t-test of differences against 0; NaN where they are all the same."""
    return float(stats.ttest_1samp(gains, 0).pvalue) if gains.std() > 0 else float("nan")


def shown(p: float) -> str:
    return "< 0.001" if p < 0.0005 else f"{p:.3f}"


def read_rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def unfinished(
    options: argparse.Namespace, group: str, of: Any
) -> Iterator[tuple[int, list[str], Callable[[Row], None]]]:
    """Each seed that lacks arms in the output file, those arms, and a function that adds a row to the file.

    Args:
        options: Of `parse`.
        group: The key that tells the rows of one study from those of others in the same file.
        of: Its value in this run; a row that has none gets it.
    """
    done = {(row["arm"], row["seed"]) for row in read_rows(options.output) if row[group] == of}

    def write(row: Row) -> None:
        if (row["arm"], row["seed"]) in done:
            return
        with options.output.open("a") as file:
            file.write(json.dumps({group: of, **row}) + "\n")
        print(json.dumps(row), flush=True)

    torch.set_num_threads(options.threads)
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        missing = [arm for arm in options.arms if (arm, seed) not in done]
        if missing:
            yield seed, missing, write


def main(
    doc: str,
    arms: tuple[str, ...],
    *,
    run: Callable[[argparse.Namespace], None],
    report: Callable[[argparse.Namespace], None],
    add_options: Callable[[argparse.ArgumentParser], None],
    seeds: int,
) -> None:
    """Parse `run` or `report` with the options that both studies have, and do it."""
    logging.basicConfig(level=logging.WARNING)
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    runs = commands.add_parser("run")
    runs.add_argument("--data", type=Path, required=True, help="folder with civil_val.parquet")
    add_options(runs)
    runs.add_argument("--seeds", type=int, default=seeds, help="how many")
    runs.add_argument("--first-seed", type=int, default=1, help="so that several processes share the work")
    runs.add_argument("--arms", nargs="+", choices=arms, default=list(arms))
    runs.add_argument("--threads", type=int, default=1)
    runs.add_argument("-o", "--output", type=Path, required=True)
    runs.set_defaults(do=run)
    reports = commands.add_parser("report")
    reports.add_argument("results", type=Path)
    reports.add_argument("-o", "--output", type=Path, required=True)
    reports.set_defaults(do=report)
    options = parser.parse_args()
    options.do(options)
