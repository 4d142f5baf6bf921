"""How fast the service is, beside what it can't be faster than and what people would run instead.

    python benchmarks/serve.py                     # about two minutes
    python benchmarks/serve.py --requests 100000   # with memory over so many requests
    python benchmarks/serve.py --windows 1 2       # with windows of so many milliseconds, too
    python benchmarks/serve.py --only start-up     # one part: how long it takes to start
    python benchmarks/serve.py --only overload --old ../old/src   # beside another version's service

Starts `giantkiller serve --open` and the other servers (serve_apps.py) on loopback, and one process that
sends requests (serve_load.py): IT SHARES THE MACHINE WITH THE SERVERS. They take turns, in rounds, so the
ratios hold on a machine that is busy; what other programs take meanwhile is printed, too. Every answer is
compared with what the service gave for that comment when it was quiet, and that with `Screener.scores` in
process. BERT-Base has random weights, which is exact for speed. Tables, then one JSON line.
"""

import argparse
import contextlib
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from about import command_line, installed, machine
from serve_processes import HERE, Load, Server, streamed

from giantkiller import Screener
from giantkiller.attributes import ATTRIBUTES
from giantkiller.speed import made_up

SCORE, ANALYZE, SCREEN, NOOP = "/v1/score", "/v1alpha1/comments:analyze", "/v1/screen", "/noop"
PARTS = ("throughput", "half-load", "overload", "memory", "stream", "start-up")
SERVE = ["-m", "giantkiller", "serve", "--open", "--port", 0, "--state"]


def analyze_body(text):
    return json.dumps(
        {"comment": {"text": text}, "requestedAttributes": {"TOXICITY": {}}, "doNotStore": True}
    )


def check(screener, texts, scored, analyzed, listed):
    """Compare the quiet service's answers with the screener's; they are what the loaded one must give."""
    rows = screener.scores(texts).astype(float).round(6).tolist()
    for row, one, other in zip(rows, scored, analyzed, strict=True):
        assert list(json.loads(one)["results"][0]["scores"].values()) == row
        value = json.loads(other)["attributeScores"]["TOXICITY"]["summaryScore"]["value"]
        assert value == row[ATTRIBUTES.index("toxicity")]
    many = [list(result["scores"].values()) for answer in listed for result in json.loads(answer)["results"]]
    assert many == rows


class Bench:
    """Servers, requests, and what was measured."""

    def __init__(self, options, stack, folder):
        self.options, self.stack, self.folder = options, stack, folder
        self.texts = [f"{text} {i}" for i, text in enumerate(made_up(options.comments))]
        self.screener = Screener()
        self.environment = installed(options.compiled or folder / "compiled")
        self.load = Load(folder)
        stack.callback(self.load.stop)
        self.log = stack.enter_context((folder / "log").open("ab"))
        patience = ["--max-wait-ms", options.max_wait] if options.max_wait else []
        self.ours = self.start([*SERVE, folder / "state", *patience], SCORE)
        self.windows = {
            f"/v1/score, window of {ms:g} ms": self.start(
                [*SERVE, folder / f"window-{ms}", "--window-ms", ms], SCORE
            )
            for ms in options.windows
        }
        self.old = None
        if options.old:
            sources = {"PYTHONPATH": str(options.old.resolve())}
            self.old = self.start([*SERVE, folder / "old", *patience], SCORE, sources)
        self.noop = self.start([HERE / "serve_apps.py", "noop"], NOOP)
        self.bare = self.start([HERE / "serve_apps.py", "bare"], NOOP)
        self.make_requests()

    def start(self, command, path, more=None):
        server = Server(command, self.log, path, self.environment | (more or {}))
        self.stack.callback(server.stop)
        server.ask('{"text": "a"}')
        return server

    def make_requests(self):
        texts, load, ours = self.texts, self.load, self.ours
        single = [json.dumps({"text": text}) for text in texts]
        analyze = [analyze_body(text) for text in texts]
        many = [json.dumps({"texts": texts[i : i + 100]}) for i in range(0, len(texts), 100)]
        answers = [
            [ours.ask(body, path) for body in bodies]
            for path, bodies in ((SCORE, single), (ANALYZE, analyze), (SCORE, many))
        ]
        check(self.screener, texts, *answers)
        self.files = {
            "noop": load.requests("noop", NOOP, analyze),
            "score": load.requests("score", SCORE, single, answers[0]),
            "analyze": load.requests("analyze", ANALYZE, analyze, answers[1]),
            "score100": load.requests("score100", SCORE, many, answers[2]),
            "wrapper": load.requests("wrapper", "/score", single),
        }

    def throughput(self):
        """Requests a second of everybody in turn, and comments a second in process."""
        options = self.options
        turns = {
            "no-op route, our stack": (self.noop, "noop", options.connections),
            "no-op route, bare stack": (self.bare, "noop", options.connections),
            "/v1/score": (self.ours, "score", options.connections),
            ":analyze": (self.ours, "analyze", options.connections),
            "/v1/score, 100 comments": (self.ours, "score100", 8),
            **{name: (server, "score", options.connections) for name, server in self.windows.items()},
        }
        if self.old:
            turns |= {
                "/v1/score, old": (self.old, "score", options.connections),
                ":analyze, old": (self.old, "analyze", options.connections),
                "/v1/score, 100 comments, old": (self.old, "score100", 8),
            }
        if options.opponents:
            turns["our bundle, unbatched"] = (
                self.start([HERE / "serve_apps.py", "unbatched"], "/score"), "wrapper", options.connections,
            )  # fmt: skip
            model = bert(options.bert or self.folder / "bert")
            turns["BERT-Base"] = (
                self.start([HERE / "serve_apps.py", "bert", model], "/score"), "wrapper", 8,
            )  # fmt: skip
        runs = {name: [] for name in turns}
        screened = []
        for _ in range(options.rounds):
            for name, (server, file, connections) in turns.items():
                run = self.load.run(
                    server, self.files[file], seconds=options.seconds, connections=connections
                )
                runs[name].append(run)
            began, count = time.perf_counter(), 0
            while time.perf_counter() - began < options.seconds:
                self.screener.scores(self.texts)
                count += len(self.texts)
            screened.append(count / (time.perf_counter() - began))
        return {name: together(each) for name, each in runs.items()}, screened

    def half_load(self, rates):
        """Latency at half of what was reached; with a window at the rate of the one without."""
        turns = {
            ":analyze": (self.ours, "analyze", rates[":analyze"]),
            "/v1/score": (self.ours, "score", rates["/v1/score"]),
            **{name: (server, "score", rates["/v1/score"]) for name, server in self.windows.items()},
        }
        return {
            name: self.load.run(
                server, self.files[file], rate=rate / 2, seconds=2 * self.options.seconds, connections=256
            )
            for name, (server, file, rate) in turns.items()
        }

    def overload(self, rates):
        """Twice as many requests as it can answer."""
        turns = {":analyze": self.ours} | ({":analyze, old": self.old} if self.old else {})
        return {
            name: self.load.run(
                server, self.files["analyze"], rate=2 * rates[name], seconds=2 * self.options.seconds,
                connections=self.options.most_connections,
            )
            for name, server in turns.items()
        }  # fmt: skip

    def memory(self):
        """Resident memory over many requests."""
        count, parts = self.options.requests, 5
        seen = [self.ours.resident_mb]
        for _ in range(parts):
            self.load.run(
                self.ours, self.files["analyze"], seconds=600, connections=self.options.connections,
                requests=count // parts,
            )  # fmt: skip
            seen.append(self.ours.resident_mb)
        return {"requests": count, "resident_mb": seen}

    def stream(self):
        """Comments a second and memory of one long request to `/v1/screen`, all sent before any is read."""
        before, peak = self.ours.resident_mb, self.ours.peak_mb
        began = time.perf_counter()
        count, first = streamed(self.ours, SCREEN, self.texts, times=20)
        seconds = time.perf_counter() - began
        rows = self.screener.scores(self.texts).astype(float).round(6).tolist()
        assert [[row[attribute] for attribute in ATTRIBUTES] for row in first] == rows
        return {
            "comments": count,
            "per_second": round(count / seconds),
            "resident_mb": [before, self.ours.resident_mb],
            "peak_mb": [peak, self.ours.peak_mb],
        }

    def start_up(self):
        """Seconds from nothing to the first answer; and of ours again after kill -9 under load."""
        taken = {"giantkiller serve": [], "bare uvicorn": [], "after kill -9 under load": []}
        for number in range(self.options.rounds):
            state = self.folder / f"started-{number}"
            for name, command, path in (
                ("giantkiller serve", [*SERVE, state], SCORE),
                ("bare uvicorn", [HERE / "serve_apps.py", "bare"], NOOP),
                ("after kill -9 under load", [*SERVE, state], SCORE),
            ):
                server = Server(command, self.log, path, self.environment)
                server.ask('{"text": "You idiot"}')
                taken[name].append((round(time.perf_counter() - server.began, 3), round(server.cpu, 2)))
                if name == "giantkiller serve":
                    self.load.kill_under(server, self.files["score"], after=0.7, connections=32)
                else:
                    server.stop()
        return {
            name: {
                "median": statistics.median(seconds for seconds, _ in times),
                "processor": statistics.median(used for _, used in times),
                "all": times,
            }
            for name, times in taken.items()
        }


def together(runs):
    """Medians of the rounds, sums of what must not happen."""
    result = {
        name: round(statistics.median(run[name] for run in runs), 2)
        for name in ("per_second", "p50_ms", "p99_ms", "server_us", "sender_us")
        if runs[0][name] is not None
    }
    return result | {name: sum(run[name] for run in runs) for name in ("refused", "wrong", "broken")}


def bert(folder):
    """Build the ONNX model of BERT-Base's size, in int8; kept in a folder that is given."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "int8.onnx").exists():
        import opponents

        opponents.exported(opponents.bert(opponents.BASE), folder)
        (folder / "plain.onnx").unlink()
    bundled = Screener(threads=1).bundle.folder / "tokenizer.json"
    (folder / "tokenizer.json").write_bytes(bundled.read_bytes())
    return folder


def measure(options, stack, folder):
    bench = Bench(options, stack, folder)
    load_before = os.getloadavg()
    result = {}
    rates = {}
    if {"throughput", "half-load", "overload"} & set(options.only):
        result, rates = throughput(bench)
    for part, (name, function) in {
        "half-load": ("half_load", lambda: bench.half_load(rates)),
        "overload": ("twice_saturation", lambda: bench.overload(rates)),
        "memory": ("memory", bench.memory),
        "stream": ("stream", bench.stream),
        "start-up": ("start_up_seconds", bench.start_up),
    }.items():
        if part in options.only:
            result[name] = function()
    if others := bench.load.others:
        result["others_share_of_machine"] = {
            "median": round(statistics.median(others), 3),
            "most": round(max(others), 3),
        }
    return result | {
        "load_average": [load_before, os.getloadavg()],
        "machine": machine(),
        "command": command_line("benchmarks/serve.py"),
    }


def throughput(bench):
    runs, screened = bench.throughput()
    rates = {name: run["per_second"] for name, run in runs.items()}
    noop, in_process = rates["no-op route, our stack"], statistics.median(screened)
    many = 100 * rates["/v1/score, 100 comments"]
    result = {
        "throughput": runs,
        "in_process_comments_per_second": round(in_process),
        "comments_per_second_in_hundreds": round(many),
        "ratios": {
            "/v1/score / no-op": round(rates["/v1/score"] / noop, 3),
            ":analyze / no-op": round(rates[":analyze"] / noop, 3),
            "100 comments / in process": round(many / in_process, 3),
            **{
                f"/v1/score / {name}": round(rates["/v1/score"] / rates[name], 2)
                for name in ("our bundle, unbatched", "BERT-Base", "/v1/score, old")
                if name in rates
            },
        },
    }
    return result, rates


def show(result):
    if "throughput" in result:
        show_throughput(result)
    show_latencies(result)
    for name, times in result.get("start_up_seconds", {}).items():
        print(f"first answer, {name}: {times['median']:.2f} s, of the processor {times['processor']:.2f} s")
    if others := result.get("others_share_of_machine"):
        print(f"other programs took {others['median']:.0%} of the machine, at most {others['most']:.0%}")
    print(f"load average {result['load_average'][0][0]:.1f} before, {result['load_average'][1][0]:.1f} after")


def show_throughput(result):
    columns = {"per_second": "requests/s", "p50_ms": "p50 ms", "p99_ms": "p99 ms", "server_us": "server us",
               "sender_us": "sender us", "refused": "refused", "wrong": "wrong"}  # fmt: skip
    print(f"{'':<26}", *(f"{title:>10}" for title in columns.values()))
    for name, run in result["throughput"].items():
        print(f"{name:<26}", *(f"{run[column] or 0:>10,.6g}" for column in columns))
    print(f"\ncomments/s in requests of 100{result['comments_per_second_in_hundreds']:>10,}")
    print(f"comments/s by Screener.scores{result['in_process_comments_per_second']:>9,}\n")
    for name, ratio in result["ratios"].items():
        print(f"{name:<40}{ratio:>7.2f}")


def show_latencies(result):
    loads = {f"half load, {name}": run for name, run in result.get("half_load", {}).items()}
    loads |= {f"twice saturation, {name}": run for name, run in result.get("twice_saturation", {}).items()}
    for name, run in loads.items():
        print(f"\n{name}: {run['sent'] / run['seconds']:,.0f}/s sent, "
              f"{run['unsent']} more had no connection\n"
              f"  answered {run['per_second']:,.0f}/s, p50 {run['p50_ms']} ms, p99 {run['p99_ms']} ms\n"
              f"  refused {run['refused']}, p50 {run['refused_p50_ms']} ms, p99 {run['refused_p99_ms']} ms; "
              f"{run['refused_without_retry_after']} without Retry-After; {run['wrong']} wrong")  # fmt: skip
    if memory := result.get("memory"):
        print(f"\nresident MB over {memory['requests']:,} requests: {memory['resident_mb']}")
    if stream := result.get("stream"):
        print(f"/v1/screen, {stream['comments']:,} comments in one request: {stream['per_second']:,}/s; "
              f"resident MB {stream['resident_mb']}, at the most {stream['peak_mb']}")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="for each server, a round")
    parser.add_argument("--comments", type=int, default=2000, help="different ones")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--most-connections", type=int, default=256, help="at twice saturation")
    parser.add_argument("--requests", type=int, default=10_000, help="over which memory is looked at")
    parser.add_argument("--windows", type=float, nargs="*", default=[], help="milliseconds, up to 2")
    parser.add_argument("--opponents", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--bert", type=Path, help="a folder that keeps BERT-Base's graph for the next time")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="some parts; all by default")
    parser.add_argument("--max-wait", type=float, help="milliseconds, instead of the service's default")
    parser.add_argument("--old", type=Path, help="the `src` of another version, whose service takes turns")
    parser.add_argument("--compiled", type=Path, help="a folder that keeps what Python compiles")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        result = measure(options, stack, Path(folder))
    show(result)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
