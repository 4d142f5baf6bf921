"""How long accepted comments wait in the service's queue, in a simulation: no machine's load changes it.

    python benchmarks/serve_queue.py

Runs the service's own queue on a clock that jumps from event to event, with a model that takes 0.7 ms a call
and 1.35 ms a comment, give or take a fifth, on two runners. Left out is what only a real machine has: the
event loop's own work, threads that wait for Python, other programs. A table, then one JSON line.
"""

import argparse
import asyncio
import json
import random

import numpy as np

from giantkiller.serve import batching
from giantkiller.serve.batching import Batcher, OverloadedError

CALL, COMMENT, SPREAD = 0.0007, 0.00135, 0.2
RUNNERS = 2
SATURATION = RUNNERS / COMMENT


class _Jumping:
    """A selector that waits for nothing: the loop's clock jumps instead."""

    def __init__(self, real, loop):
        self.real, self.loop = real, loop

    def select(self, timeout=None):
        self.loop.now += timeout or 0.0
        return []

    def __getattr__(self, name):
        return getattr(self.real, name)


class Loop(asyncio.SelectorEventLoop):
    def __init__(self):
        super().__init__()
        self.now = 0.0
        self._selector = _Jumping(self._selector, self)

    def time(self):
        return self.now

    monotonic = perf_counter = time


class Pool:
    """Stands for the runners' threads."""

    def __init__(self, loop, batcher, dice):
        self.loop, self.batcher, self.dice = loop, batcher, dice
        self.calls = []

    def submit(self, _function, pieces, work):
        count = sum(end - begin for _, begin, end in pieces)
        self.calls.append(count)
        seconds = (CALL + COMMENT * count) * self.dice.lognormvariate(0, SPREAD)
        rows = np.zeros((count, 7), np.float32)
        self.loop.call_later(seconds, self.batcher._done, pieces, work, rows, seconds)

    def shutdown(self):
        pass


async def play(loop, rate, seconds, max_wait):
    dice = random.Random(0)
    batcher = Batcher(None, runners=RUNNERS, max_wait=max_wait)
    batcher._pool.shutdown()
    batcher._pool = pool = Pool(loop, batcher, dice)
    waits, tasks = [], set()

    async def ask():
        began = loop.time()
        try:
            await batcher.scores(["x" * min(1200, int(dice.expovariate(1 / 200)))])
            waits.append(loop.time() - began)
        except OverloadedError:
            pass

    while loop.time() < seconds:
        await asyncio.sleep(dice.expovariate(rate))
        task = asyncio.ensure_future(ask())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    waits.sort()
    return {
        "answered_per_second": round(len(waits) / seconds),
        "p50_ms": round(1000 * waits[len(waits) // 2], 1),
        "p99_ms": round(1000 * waits[len(waits) * 99 // 100], 1),
        "comments_a_call": round(sum(pool.calls) / len(pool.calls), 1),
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--max-wait", type=float, nargs="*", default=[50, 30], help="milliseconds")
    options = parser.parse_args()
    result = {}
    for wait in options.max_wait:
        for load in (0.5, 0.9, 2.0):
            loop = Loop()
            batching.time = loop
            name = f"max_wait {wait:g} ms, {load:g} of saturation"
            result[name] = loop.run_until_complete(
                play(loop, load * SATURATION, options.seconds, wait / 1000)
            )
            loop.close()
            print(f"{name:<40}", *(f"{key} {value:>7}" for key, value in result[name].items()))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
