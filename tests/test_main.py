"""The command line: kernels are compiled once, then loaded; errors and the exit status."""
import io
import os
import subprocess
import sys

import pytest

from graphnet import __main__ as command
from graphnet.backends.cpu import cache, store, warm


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A new folder for what is compiled, here and in the processes that are started."""
    monkeypatch.setenv("GRAPHNET_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(store, "folder", lambda: tmp_path)
    return tmp_path


def test_everything_has_a_name_once():
    names = warm.everything()
    assert len(set(names)) == len(names) == len(cache.all_kernels()) + 1 and names[0] == "execute"


def test_formulas_are_among_them():
    assert any(name.startswith("block_tanh") for name in warm.everything())


def test_kernels_are_made_in_processes_of_their_own(own_cache, monkeypatch):
    few = [k.name for k in cache.all_kernels()][:2]
    monkeypatch.setattr(warm, "everything", lambda: few)
    assert sorted(warm.make_all(2)) == sorted((name, "compiled", "") for name in few)
    assert sorted(warm.make_all(2)) == sorted((name, "loaded", "") for name in few)
    assert command.kept()[0] >= 2 and command.kept()[1] > 1000


def test_warm_counts_and_reports_failures(own_cache, monkeypatch, capsys):
    def some(jobs):
        yield "good", "compiled", ""
        yield "known", "loaded", ""
        yield "bad", "failed", "TypingError: no such thing"
    monkeypatch.setattr(command, "everything", lambda: ["good", "known", "bad"])
    monkeypatch.setattr(command, "make_all", some)
    assert command.main(["warm", "--jobs", "1"]) == 1
    said = capsys.readouterr()
    assert "1 compiled, 1 loaded, 1 failed of 3" in said.out and str(own_cache) in said.out
    assert "bad cannot be compiled: TypingError" in said.err


def test_a_kernel_that_fails_is_named(monkeypatch):
    class Broken:
        name = "broken"

        @property
        def address(self):
            raise TypeError("no")
    monkeypatch.setattr(warm, "_kernels", lambda: {"broken": Broken()})
    assert warm.make("broken") == ("broken", "failed", "TypeError: no")


def test_a_folder_that_others_may_write_to_is_refused(tmp_path):
    tmp_path.chmod(0o777)
    done = subprocess.run([sys.executable, "-m", "graphnet", "warm"], env={**os.environ, "GRAPHNET_CACHE_DIR": str(tmp_path)},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "GRAPHNET_CACHE_DIR" in done.stderr and not list(tmp_path.iterdir())


def test_cache_shows_the_folder(own_cache, capsys):
    (own_cache / "a.kernel").write_bytes(b"x" * 2**20)
    assert command.main(["cache"]) == 0
    assert capsys.readouterr().out == f"{own_cache}: 1 files, 1.0 MB of at most 256 MB\n"


@pytest.mark.parametrize("arguments, said", [([], "required"), (["melt"], "invalid choice"),
                                             (["warm", "--jobs", "0"], "from 1 on; received '0'"),
                                             (["warm", "--jobs", "two"], "received 'two'")])
def test_wrong_arguments(arguments, said, capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(arguments)
    assert stop.value.code == 2 and said in capsys.readouterr().err


def test_help(capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(["--help"])
    assert stop.value.code == 0 and "warm" in capsys.readouterr().out


def test_progress_is_for_terminals():
    class Terminal(io.StringIO):
        def isatty(self):
            return True
    terminal, log = Terminal(), io.StringIO()
    for stream in (terminal, log):
        for done in range(1, 5):
            command.show_progress(done, 4, "kernel", stream)
    assert log.getvalue() == ""
    lines = terminal.getvalue().split("\r")
    assert (
        "[########" in lines[1]
        and "1/4 kernel" in lines[1]
        and f"[{'#' * command.BAR}] 4/4" in lines[-1]
        and lines[-1].endswith("\n")
    )
