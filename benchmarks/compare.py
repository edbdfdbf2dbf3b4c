"""graphnet's inference against every runtime that a user would pick instead: the same networks and weights, in one run.

python benchmarks/compare.py --peers PYTHON [--networks mlp,...] [--batches 1,32] [--work FOLDER] [--chart FILE.png] [--quick]

PYTHON is that of an environment with `benchmarks/requirements.txt`. There each network is built and seeded in Keras, saved as a
`.keras` file, which graphnet and Keras's backends read, and exported to ONNX; FOLDER keeps these files for the next time.
Contenders are processes of their own, on the same two processors; what they compute is compared with Keras's result first. Then
they take turns of a tenth of a second, each without its first 20 ms. A ratio is the best peer's time over graphnet's in one run
of turns; given are the median over the runs, and the least and the largest.
"""
import argparse
import json
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile

from chart import draw
from contenders import Contender
from networks import NETWORKS
from runtimes import RUNTIMES

HERE = pathlib.Path(__file__).parent
ROWS, NEW = 32, 7  # rows that Keras computes beforehand; a batch size that no contender has seen
LARGEST = {"vgg19": 8}  # batches that stand in for larger ones
WRONG = 1e-3  # differences, as a part of the largest value, that no order of additions explains
COLUMN = 14


def prepare(peers, work, name):
    """Makes a network's files where they are missing; what is known about it, None where they cannot be made."""
    known = work / f"{name}.json"
    if not known.exists():
        command = [peers, HERE / "prepare.py", work, name, str(least(name, ROWS))]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            print(f"{name}: no files, exit status {made.returncode}: {' '.join(made.stderr.strip().splitlines()[-1:])}", flush=True)
            return None
    return json.loads(known.read_text())


class Race:
    """The contenders for one network: each started alone, and timed as it starts."""

    def __init__(self, chosen, work, name, kernels):
        self.name, self.chosen, self.running, self.cold = name, chosen, {}, math.nan
        for runtime in chosen.runtimes.split(","):
            python = sys.executable if runtime == "graphnet" else chosen.peers
            arguments = [python, str(HERE / "runtimes.py"), runtime, str(work), name]
            if runtime == "graphnet":
                self.cold = self.rehearse(arguments, kernels)
            found = Contender(*arguments, patience=chosen.patience, GRAPHNET_CACHE_DIR=kernels)
            if found.said is None:
                print(f"{name}: {runtime} is left out: it does not start, or not within {chosen.patience:.0f} s", flush=True)
                continue
            found.start, found.memory = found.said["first"] - found.begun, found.ask("memory")
            self.running[runtime] = found

    def rehearse(self, arguments, kernels):
        """Seconds to the first result where no kernel is compiled; afterwards all that the network needs are."""
        cold = math.nan
        with tempfile.TemporaryDirectory() as empty:
            for folder in ([] if self.chosen.quick else [empty]) + [kernels]:
                first = Contender(*arguments, GRAPHNET_CACHE_DIR=folder)
                if first.said is not None and folder == empty:
                    cold = first.said["first"] - first.begun
                elif first.said is not None:
                    for batch in (*self.chosen.sizes, NEW):
                        first.ask("fresh", batch=least(self.name, batch))
                first.end()
        return cold

    def compare(self, batch):
        """Leaves out who computes something else; the largest difference of those that stay."""
        worst = 0.0
        for runtime, contender in list(self.running.items()):
            apart = contender.ask("check", batch=batch)
            if apart is None or not apart < WRONG:
                print(f"{self.name}, batch {batch}: {runtime} is left out: differs by {apart} of the largest value", flush=True)
                self.drop(runtime)
            else:
                worst = max(worst, apart)
        return worst

    def drop(self, runtime):
        self.running.pop(runtime).end()

    def times(self, batch):
        """Of each run, milliseconds by runtime: the median over its rounds."""
        runs = []
        for _ in range(self.chosen.runs):
            taken = {runtime: [] for runtime in self.running}
            for turn in range(self.chosen.rounds):
                for runtime in list(taken)[::1 if turn % 2 else -1]:
                    taken[runtime].append(self.running[runtime].ask("turn", batch=batch, seconds=self.chosen.seconds))
            runs.append({runtime: statistics.median(found) for runtime, found in taken.items() if None not in found})
        return runs

    def fresh(self, batch):
        """By runtime, milliseconds of the first call with a new batch size, and of a later one."""
        return {runtime: contender.ask("fresh", batch=batch) for runtime, contender in self.running.items()}

    def end(self):
        for runtime in list(self.running):
            self.drop(runtime)


def least(name, batch):
    return min(batch, LARGEST.get(name, batch))


def cell(race, known, batch):
    """Measures one network with one batch, prints its line, gives its figures."""
    apart = race.compare(batch)
    if "graphnet" not in race.running:
        return None
    peak = race.running["graphnet"].ask("peak")
    runs = race.times(batch)
    peak = max(peak, race.running["graphnet"].ask("peak"))
    medians = {runtime: statistics.median(run[runtime] for run in runs) for runtime in runs[0]}
    peers = [(run["graphnet"], [t for runtime, t in run.items() if runtime != "graphnet"]) for run in runs]
    ratios = [min(others) / own for own, others in peers if others]
    spread = [min(ratios), max(ratios)] if ratios else [math.nan] * 2
    share = 2e-6 * known["multiply_adds"] * batch / medians["graphnet"] / peak
    found = {"network": race.name, "batch": batch, "ms": medians, "share": share, "peak": peak, "apart": apart,
             "ratio": statistics.median(ratios) if ratios else math.nan, "spread": spread}
    row(f"{race.name}, batch {batch}", medians, race.chosen, ".3f",
        f"{found['ratio']:>7.2f} ({spread[0]:.2f} to {spread[1]:.2f}) {share:>7.0%} of {peak:.0f} GFLOP/s")
    return found


def row(name, values, chosen, form, more=""):
    """A line of a table, a column for each runtime."""
    shown = [format(values[runtime], form) if values.get(runtime) is not None else "-" for runtime in chosen.runtimes.split(",")]
    print(f"{name:28}{''.join(f'{text:>{COLUMN}}' for text in shown)}{more}", flush=True)


def head(name, chosen, more=""):
    row(f"\n{name}", dict(zip(RUNTIMES, RUNTIMES, strict=True)), chosen, "", more)


def measure(chosen, work, kernels):
    """All figures: of cells, and of starts by network."""
    cells, starts = [], {}
    head("milliseconds", chosen, "   best peer / graphnet  share of the peak")
    for name in chosen.networks.split(","):
        known = prepare(chosen.peers, work, name)
        if known is None:
            continue
        race = Race(chosen, work, name, kernels)
        try:
            batches = dict.fromkeys(least(name, batch) for batch in chosen.sizes)
            cells += [made for batch in batches if (made := cell(race, known, batch))]
            running = race.running.items()
            starts[name] = {"cold": race.cold, "start": {r: c.start for r, c in running}, "fresh": race.fresh(NEW),
                            "grown": {r: c.memory and c.memory[0] for r, c in running},
                            "peak": {r: c.memory and c.memory[1] for r, c in running}}
        finally:
            race.end()
    return cells, starts


def conclude(cells, starts, chosen):
    """Prints what is known of all cells, and the other tables."""
    ratios = [c["ratio"] for c in cells if c["ratio"] > 0]
    if ratios:
        mean = math.exp(statistics.fmean(map(math.log, ratios)))
        print(f"\ngeometric mean {mean:.2f} (bound 1.5); least {min(ratios):.2f} (bound 1.0)")
        print(f"the largest difference from Keras's results: {max(c['apart'] for c in cells):.1e} of the largest value")
    head("process to first result, s", chosen, "   graphnet without compiled kernels")
    for name, start in starts.items():
        row(name, start["start"], chosen, ".2f", f"{start['cold']:>12.1f}")
    head(f"first call at batch {NEW}, ms", chosen, "   graphnet's above a later call (bound 20)")
    for name, start in starts.items():
        first, later = start["fresh"].get("graphnet", (math.nan, math.nan))
        row(name, {r: f[0] for r, f in start["fresh"].items() if f}, chosen, ".1f", f"{first - later:>12.1f}")
    for key, words in (("grown", "memory grew at most, MB"), ("peak", "memory at most, MB")):
        head(words, chosen)
        for name, start in starts.items():
            row(name, start[key], chosen, ".0f")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", metavar="PYTHON", required=True, help="Python with benchmarks/requirements.txt")
    parser.add_argument("--networks", help=f"some of {','.join(NETWORKS)}; by default all")
    parser.add_argument("--batches", default="1,32")
    parser.add_argument("--runtimes", default=",".join(RUNTIMES), help="those to compare")
    parser.add_argument("--work", type=pathlib.Path, help="folder that keeps the networks' files; by default a temporary one")
    parser.add_argument("--chart", type=pathlib.Path, help="PNG to draw, by default compare.png in --work")
    parser.add_argument("--runs", type=int, help="by default 5, with --quick 2")
    parser.add_argument("--rounds", type=int, help="turns of each contender in a run, by default 3, with --quick 1")
    parser.add_argument("--seconds", type=float, default=0.12, help="of a turn")
    parser.add_argument("--patience", type=float, default=300.0, help="seconds within which a contender has to start")
    parser.add_argument("--quick", action="store_true",
                        help="few turns, nothing compiled anew, by default two small networks: shows that it runs")
    parser.add_argument("--verbose", action="store_true", help="shows what contenders write to their standard error")
    chosen = parser.parse_args()
    chosen.runs, chosen.rounds = chosen.runs or (2 if chosen.quick else 5), chosen.rounds or (1 if chosen.quick else 3)
    chosen.networks = chosen.networks or ("mlp,autoencoder" if chosen.quick else ",".join(NETWORKS))
    chosen.sizes = [int(batch) for batch in chosen.batches.split(",")]
    if max(chosen.sizes) > ROWS:
        parser.error(f"--batches: at most {ROWS}")
    return chosen


def main():
    chosen = arguments()
    Contender.loud = chosen.verbose
    with tempfile.TemporaryDirectory() as temporary:
        work = chosen.work or pathlib.Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        cells, starts = measure(chosen, work, str(work / "kernels"))
        conclude(cells, starts, chosen)
        (work / "compare.json").write_text(json.dumps({"cells": cells, "starts": starts}, indent=1))
        if cells and (chosen.chart or chosen.work):
            draw(chosen.peers, work / "compare.json", chosen.chart or work / "compare.png")


if __name__ == "__main__":
    main()
