"""The processes that `benchmarks/serve.py` runs: servers, the sender of requests, and what each takes."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from http.client import HTTPConnection
from pathlib import Path

HERE = Path(__file__).parent
TICK = os.sysconf("SC_CLK_TCK")


class Server:
    """A server in a process of its own."""

    def __init__(self, command, log, path, environment):
        self.began = time.perf_counter()
        self.path = path
        self.process = subprocess.Popen(
            [sys.executable, *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=HERE,
            env=environment,
        )
        first = self.process.stdout.readline()
        self.port = int(re.findall(r"\d+", first.split(",")[0])[-1])

    def ask(self, body, path=None):
        """Ask until it answers; return the answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path or self.path}",
            body.encode(),
            {"Content-Type": "application/json"},
        )
        for _ in range(2000):
            with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read().decode()
            time.sleep(0.01)
        raise SystemExit(f"{self.process.args} never answered")

    def stop(self, kind=signal.SIGTERM):
        self.process.send_signal(kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    @property
    def cpu(self):
        return cpu_of(self.process.pid)

    @property
    def resident_mb(self):
        return self._memory("VmRSS")

    @property
    def peak_mb(self):
        return self._memory("VmHWM")

    def _memory(self, which):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return round(int(re.search(rf"{which}:\s+(\d+)", status)[1]) / 1024, 1)


def streamed(server, path, texts, times):
    """Send texts as JSON Lines, again and again in one request; return how many came back, and the first."""
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
    connection = HTTPConnection("127.0.0.1", server.port, timeout=600)
    with contextlib.closing(connection):
        connection.request(
            "POST", path, (lines for _ in range(times)), {"Transfer-Encoding": "chunked"}, encode_chunked=True
        )
        answer = connection.getresponse()
        first = [json.loads(answer.readline()) for _ in texts]
        return len(first) + sum(1 for _ in answer), first


def cpu_of(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def busy():
    """Seconds of processor time used on this machine, by whomever."""
    user, nice, system, _, _, irq, soft, stolen, *_ = map(int, Path("/proc/stat").read_text().split()[1:10])
    return (user + nice + system + irq + soft + stolen) / TICK


class Load:
    """The process that sends requests."""

    def __init__(self, folder):
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "serve_load.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.others = []

    def requests(self, name, path, bodies, expected=()):
        file = self.folder / f"{name}.json"
        file.write_text(
            json.dumps({"requests": [(path, body) for body in bodies], "expected": list(expected)})
        )
        return file

    def run(self, server, file, *, seconds, connections, rate=None, requests=None):
        order = {"file": str(file), "port": server.port, "connections": connections, "rate": rate}
        order |= {"seconds": seconds, "requests": requests}
        began, used, all_used = time.perf_counter(), server.cpu, busy()
        sender = cpu_of(self.process.pid)
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        result = json.loads(self.process.stdout.readline())
        took = time.perf_counter() - began
        used, sender = server.cpu - used, cpu_of(self.process.pid) - sender
        self.others.append(max(0.0, busy() - all_used - used - sender) / took / os.cpu_count())
        done = max(1, sum(result["statuses"].values()))
        result["server_us"] = round(1e6 * used / done, 1)
        result["sender_us"] = round(1e6 * sender / done, 1)
        result["others"] = round(self.others[-1], 3)
        return result

    def kill_under(self, server, file, *, after, connections):
        """Kill a server with signal 9 while requests are on their way to it."""
        order = {"file": str(file), "port": server.port, "connections": connections, "rate": None}
        self.process.stdin.write(json.dumps(order | {"seconds": 4 * after}) + "\n")
        self.process.stdin.flush()
        time.sleep(after)
        server.stop(signal.SIGKILL)
        result = json.loads(self.process.stdout.readline())
        assert result["answered"], "no load"

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)
