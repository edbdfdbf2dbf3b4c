"""Contenders: processes of their own that answer questions, one line of JSON for one, and take turns so."""
import json
import os
import pathlib
import select
import subprocess
import time

PINNED = 2  # threads, and processors, of each


def resident(which="VmRSS"):
    """Megabytes of this process in memory, or with VmHWM the most there were; None where the system does not tell."""
    status = pathlib.Path("/proc/self/status")
    if not status.exists():
        return None
    return int(status.read_text().split(f"{which}:")[1].split()[0]) / 1024


def forget_peak():
    """VmHWM begins anew."""
    if os.path.exists("/proc/self/clear_refs"):
        pathlib.Path("/proc/self/clear_refs").write_text("5")


def pin():
    """This process keeps to the same processors as all others that call this."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:PINNED])


class Contender:
    """One such process: `script` with `arguments`; `said` is the line with which it began, None where it never did."""

    loud = False  # whether what it writes to its standard error is shown

    def __init__(self, python, script, *arguments, patience=300.0, **environment):
        names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "GRAPHNET_THREADS")
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
        environment = {**os.environ, **dict.fromkeys(names, str(PINNED)), **quiet, **environment}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what an installer compiles is not compiled at each start
        self.begun, self.patience = time.monotonic(), patience
        self.process = subprocess.Popen([python, script, *arguments], env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=None if self.loud else subprocess.DEVNULL)
        self.said = self._answer()

    def _answer(self):
        """The next line that is JSON; None where the process ends, or takes too long, and is ended then."""
        end, buffer = time.monotonic() + self.patience, b""
        while (left := end - time.monotonic()) > 0 and select.select([self.process.stdout], [], [], left)[0]:
            got = os.read(self.process.stdout.fileno(), 1 << 16)
            if not got:
                self.process.wait()
                return None
            buffer += got
            for line in buffer.split(b"\n")[:-1]:
                if line.startswith(b"{"):
                    return json.loads(line)
        self.process.kill()
        self.process.wait()
        return None

    def ask(self, what, **more):
        """What it answers; None where it has ended."""
        if self.process.poll() is not None:
            return None
        self.process.stdin.write(json.dumps({"ask": what, **more}).encode() + b"\n")
        self.process.stdin.flush()
        answer = self._answer()
        return answer and answer["answer"]

    def end(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait()


def say(**what):
    print(json.dumps(what), flush=True)
