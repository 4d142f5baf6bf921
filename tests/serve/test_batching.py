"""The queue in front of the model, with a model that can be made to wait."""

import asyncio
import inspect
import threading
import time

import numpy as np
import pytest

from giantkiller.serve.batching import LARGE_WAIT, Batcher, OverloadedError
from giantkiller.serve.settings import Settings


class Slow:
    """Scores a text by its length, when it is let."""

    def __init__(self):
        self.calls = []
        self.go = threading.Event()
        self.go.set()
        self.seconds = self.for_each = 0.0

    def scores(self, texts):
        self.calls.append(list(texts))
        assert self.go.wait(10)
        time.sleep(self.seconds + self.for_each * len(texts))
        if "fail" in texts:
            raise RuntimeError("no")
        return np.array([[len(text)] * 7 for text in texts], np.float32).reshape(-1, 7)


def test_its_bounds_are_the_settings():
    defaults = inspect.signature(Batcher).parameters
    settings = Settings()
    assert defaults["max_wait"].default == settings.max_wait_ms / 1000
    assert defaults["max_queue"].default == settings.max_queue
    assert defaults["max_batch"].default == settings.max_batch
    assert defaults["timeout"].default == settings.timeout
    assert f"{LARGE_WAIT} times" in Settings.model_fields["max_wait_ms"].description


def play(scene, **options):
    async def run():
        slow = Slow()
        batcher = Batcher(slow, **options)
        try:
            return await asyncio.wait_for(scene(batcher, slow), 20)
        finally:
            slow.go.set()
            await batcher.close()

    return asyncio.run(run())


def lengths(rows):
    return rows[:, 0].astype(int).tolist()


def test_what_arrives_together_goes_together():
    async def scene(batcher, slow):
        rows = await asyncio.gather(*(batcher.scores(["a" * n]) for n in range(1, 6)))
        assert [lengths(row) for row in rows] == [[1], [2], [3], [4], [5]]
        assert len(slow.calls) == 1

    play(scene)


def test_what_waits_while_the_model_works_goes_together():
    async def scene(batcher, slow):
        slow.go.clear()
        first = asyncio.create_task(batcher.scores(["a"]))
        await asyncio.sleep(0.02)
        others = [asyncio.create_task(batcher.scores(["b" * n])) for n in range(20)]
        await asyncio.sleep(0.02)
        assert batcher.waiting == 20
        slow.go.set()
        assert lengths(await first) == [1]
        assert [lengths(await other) for other in others] == [[n] for n in range(20)]
        assert len(slow.calls) == 2

    play(scene, max_wait=10)


@pytest.mark.parametrize("runners", [1, 3])
def test_large_requests_are_cut_and_put_together_again(runners):
    async def scene(batcher, slow):
        big = ["x" * (i % 50) for i in range(1000)]
        rows = await asyncio.gather(batcher.scores(big), batcher.scores(["yy"]), batcher.scores(big[:300]))
        assert lengths(rows[0]) == [len(text) for text in big]
        assert lengths(rows[1]) == [2]
        assert lengths(rows[2]) == [len(text) for text in big[:300]]
        assert max(map(len, slow.calls)) <= 64
        assert "yy" in slow.calls[0]  # the small one did not wait for the large

    play(scene, runners=runners, max_batch=64, max_queue=5000, max_wait=100)


@pytest.mark.parametrize(("waiting", "calls"), [(3, 1), (4, 2)])
def test_a_second_runner_works_as_soon_as_it_is_worth_it(waiting, calls):
    async def scene(batcher, slow):
        slow.go.clear()
        tasks = [asyncio.create_task(batcher.scores(["a"]))]
        await asyncio.sleep(0.02)
        tasks += [asyncio.create_task(batcher.scores(["b"])) for _ in range(waiting)]
        await asyncio.sleep(0.1)
        assert len(slow.calls) == calls
        slow.go.set()
        assert [lengths(await task) for task in tasks] == [[1]] * (waiting + 1)

    play(scene, runners=2, max_wait=10)


def test_what_is_on_its_way_counts():
    async def scene(batcher, slow):
        assert not batcher.refuses()
        assert not batcher.refuses(5)
        assert batcher.refuses(6)  # more than may wait
        assert batcher.refuses(0, 0.3)
        assert not batcher.refuses(0, 0.1)
        slow.go.clear()
        task = asyncio.create_task(batcher.scores(["a"] * 8))
        await asyncio.sleep(0.02)
        alone = batcher.expected_small_wait
        assert alone > 0
        assert batcher.refuses(0, 0.2 - alone / 2)
        slow.go.set()
        await task

    play(scene, max_queue=6, max_wait=0.2)


def test_too_much_is_refused_at_once():
    async def scene(batcher, slow):
        slow.go.clear()
        held = [asyncio.create_task(batcher.scores(["a"]))]
        await asyncio.sleep(0.02)
        held += [asyncio.create_task(batcher.scores(["b"])) for _ in range(10)]
        await asyncio.sleep(0.02)
        with pytest.raises(OverloadedError) as error:
            await batcher.scores(["c"])
        assert error.value.retry_after > 0
        slow.go.set()
        assert [lengths(await one) for one in held] == [[1]] * 11
        assert lengths(await batcher.scores(["dd"])) == [2]

    play(scene, max_queue=10, max_wait=1000)


def test_large_requests_may_wait_longer_and_small_ones_do_not_wait_for_them():
    async def scene(batcher, slow):
        slow.seconds = 0.05
        large = [asyncio.create_task(batcher.scores(["a" * 1000] * 64)) for _ in range(8)]
        await asyncio.sleep(0.2)  # the speed is known now
        assert batcher.expected_wait > batcher.max_wait
        assert lengths(await batcher.scores(["bb"])) == [2]
        assert not large[-1].done()
        assert [len(await one) for one in large] == [64] * 8

    play(scene, max_wait=0.2, max_batch=64)


def test_small_requests_are_not_refused_however_many_large_ones_there_are():
    async def scene(batcher, slow):
        slow.for_each = 0.002
        batcher._rate, batcher._measured = 80_000.0, 1000  # what it would have found by now
        large = [asyncio.create_task(batcher.scores(["a" * 10] * 100)) for _ in range(16)]
        await asyncio.sleep(0.02)
        for _ in range(10):
            assert lengths(await batcher.scores(["bb"])) == [2]
        assert not large[-1].done()
        assert [len(await one) for one in large] == [100] * 16

    play(scene, runners=2, max_wait=0.1)


def test_calls_of_large_requests_are_as_large_as_can_be_while_no_small_ones_come():
    async def scene(batcher, slow):
        batcher._rate, batcher._measured = 80_000.0, 1000  # of 160 for each comment: 50 in a wait of 100 ms
        slow.for_each = 0.002
        slow.go.clear()
        large = [asyncio.create_task(batcher.scores(["a" * 10] * 100)) for _ in range(3)]
        while not slow.calls:
            await asyncio.sleep(0.001)
        assert len(slow.calls[0]) == 128
        single = asyncio.create_task(
            batcher.scores(["bb"])
        )  # not refused: the call ends, and the next are small
        await asyncio.sleep(0)
        slow.go.set()
        assert lengths(await single) == [2]
        assert "bb" in slow.calls[1]
        assert all(len(call) <= 1 + 25 + 1 for call in slow.calls[1:])  # and what a clock is off
        assert [len(await one) for one in large] == [100] * 3

    play(scene, max_wait=0.1)


@pytest.mark.parametrize(("runners", "refused"), [(1, True), (2, False)])
def test_an_explanation_keeps_nobody_out_while_another_runner_is_free(runners, refused):
    async def scene(batcher, slow):
        done = threading.Event()
        explained = asyncio.create_task(batcher.run(lambda: done.wait(10), 1000))
        await asyncio.sleep(0.02)
        assert batcher.busy
        assert batcher.expected_wait > batcher.max_wait
        assert batcher.refuses() is refused
        if not refused:
            assert lengths(await batcher.scores(["bb"])) == [2]
        done.set()
        assert await explained
        assert not batcher.busy
        assert not batcher.refuses()

    play(scene, runners=runners, max_wait=0.05)


def test_an_idle_queue_takes_a_request_of_any_size():
    async def scene(batcher, slow):
        assert len(await batcher.scores(["a"] * 1000)) == 1000

    play(scene, max_queue=10, max_wait=0.001)


def test_a_patient_request_waits_for_room():
    async def scene(batcher, slow):
        slow.go.clear()
        asyncio.get_running_loop().call_later(0.1, slow.go.set)
        rows = await asyncio.gather(*(batcher.scores(["a"] * 8, patient=True) for _ in range(10)))
        assert all(len(row) == 8 for row in rows)

    play(scene, max_queue=8, max_wait=0.001)


def test_a_request_that_waited_too_long_is_given_up():
    async def scene(batcher, slow):
        slow.go.clear()
        first = asyncio.create_task(batcher.scores(["a"]))
        await asyncio.sleep(0.02)
        late = asyncio.create_task(batcher.scores(["b"]))
        await asyncio.sleep(0.2)
        slow.go.set()
        assert lengths(await first) == [1]
        with pytest.raises(OverloadedError):
            await late
        assert slow.calls == [["a"]]

    play(scene, timeout=0.1, max_wait=10)


def test_a_failure_reaches_those_it_concerns():
    async def scene(batcher, slow):
        with pytest.raises(RuntimeError):
            await batcher.scores(["fail"])
        assert lengths(await batcher.scores(["fine"])) == [4]

    play(scene)


def test_the_loop_goes_on_while_the_model_works():
    async def scene(batcher, slow):
        slow.seconds = 0.2
        task = asyncio.create_task(batcher.scores(["a"]))
        longest, last = 0.0, time.perf_counter()
        while not task.done():
            await asyncio.sleep(0.001)
            longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
        assert longest < 0.1

    play(scene)


def test_closing_finishes_what_was_accepted():
    async def scene(batcher, slow):
        slow.seconds = 0.05
        tasks = [asyncio.create_task(batcher.scores(["a"] * 20)) for _ in range(5)]
        await asyncio.sleep(0)
        await batcher.close()
        assert [len(await task) for task in tasks] == [20] * 5

    play(scene, max_batch=20, max_wait=10)
