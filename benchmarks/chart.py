"""The bar chart of `compare.py`: python chart.py compare.json compare.png, where matplotlib is."""
import json
import subprocess
import sys


def draw(python, figures, picture):
    """Draws by the given Python; says so where it cannot."""
    made = subprocess.run([python, __file__, figures, picture], capture_output=True, text=True, check=False)
    print(f"\nchart: {picture}" if made.returncode == 0 else f"\nno chart: {made.stderr.strip().splitlines()[-1]}")


def main(figures, picture):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    with open(figures) as file:
        cells = json.load(file)["cells"]
    runtimes = list(dict.fromkeys(runtime for cell in cells for runtime in cell["ms"]))
    figure, axes = pyplot.subplots(figsize=(max(6, 0.9 * len(cells)), 4.5), layout="constrained")
    width = 0.85 / len(runtimes)
    for i, runtime in enumerate(runtimes):
        known = [(at, cell["ms"][runtime] / cell["ms"]["graphnet"]) for at, cell in enumerate(cells) if runtime in cell["ms"]]
        places, ratios = [at + (i - len(runtimes) / 2) * width for at, _ in known], [ratio for _, ratio in known]
        axes.bar(places, ratios, width, align="edge", label=runtime)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_ylabel("time over graphnet's")
    axes.set_xticks(range(len(cells)), [f"{cell['network']}\n{cell['batch']}" for cell in cells], fontsize=8)
    axes.legend(ncols=len(runtimes), fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.12), frameon=False)
    figure.savefig(picture, dpi=150)


if __name__ == "__main__":
    main(*sys.argv[1:])
