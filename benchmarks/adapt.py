"""What a site's decisions teach the shipped model, by what learns: a study of simulated sites.

    python benchmarks/adapt.py run --data DIR -o tuning.jsonl --tuning
    python benchmarks/adapt.py run --data DIR -o results.jsonl --tuned tuning.jsonl
    python benchmarks/adapt.py report results.jsonl
    python benchmarks/adapt.py promise --data DIR -o promise.jsonl
    python benchmarks/adapt.py frontier --data DIR -o frontier.jsonl
    python benchmarks/adapt.py ask --data DIR -o ask.jsonl

`run` compares the arms (adapt_study.py), `promise` runs the command itself, `frontier` finds its defaults,
`ask` says which decisions are worth a second look: adapt_promise.py, adapt_frontier.py, adapt_ask.py. Runs
resume: what is in the file isn't run again.

docs/results/adapt.md says what counts as dendrites winning; it was written before the study ran.
"""

import argparse

import adapt_ask
import adapt_frontier
import adapt_promise
import adapt_study


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    for part in (adapt_study, adapt_promise, adapt_frontier, adapt_ask):
        part.add_to(commands)
    options = parser.parse_args()
    options.do(options)


if __name__ == "__main__":
    main()
