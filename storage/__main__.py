"""Storage's command line.

`python -m storage postgres` runs the embedded server until SIGTERM; `python -m storage migrate` brings a database up to date;
`python -m storage backup FOLDER` and `python -m storage restore FOLDER` are `hum backup` and `hum restore`.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from hum import settings
from hum.process import homelock, program
from hum.process.signals import PREPARE, stop_signal
from hum.refusal import refuse
from hum.settings import ControlSettings
from storage.backup import CannotBackUp, back_up, restore
from storage.embedded import CannotStart, EmbeddedPostgres
from storage.migrate import ROLES, CannotMigrate, migrate


async def run_postgres(config: ControlSettings) -> None:
    """Start the server, print its URL as one line of JSON, and stop it on SIGTERM or SIGINT.

    Raises CannotStart if the server exits by itself; started again, it has the same URL.
    """
    stop = stop_signal()
    server, checkpoints = EmbeddedPostgres(config.home), set[asyncio.Task[None]]()
    try:
        url = await server.start()
        sys.stdout.write(json.dumps({"url": url}) + "\n")
        sys.stdout.flush()
        asyncio.get_running_loop().add_signal_handler(
            PREPARE, lambda: checkpoints.add(asyncio.create_task(server.checkpoint()))
        )
        stopping, exited = asyncio.create_task(stop.wait()), asyncio.create_task(server.ended())
        await asyncio.wait({stopping, exited}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            raise CannotStart(f"PostgreSQL exited unexpectedly; see {server.log_path}")
    finally:
        await server.stop()


async def run_migrate(config: ControlSettings, *, restored: bool) -> None:
    """Migrate the database of HUM_DATABASE_URL; start a restored embedded one for that.  Raises CannotMigrate, CannotStart."""
    if config.database_url:
        applied = await migrate(config.database_url, restored=restored)
    elif restored:
        applied = await _migrate_restored(config.home)
    else:
        raise CannotMigrate("HUM_DATABASE_URL is not set; an embedded database is migrated by `hum up` itself")
    sys.stdout.write("".join(f"applied {name}\n" for name in applied) or "up to date\n")
    if restored:
        sys.stdout.write("recorded the restore: what was to be sent before is looked for at the carrier first\n")


async def _migrate_restored(home: Path) -> list[str]:
    """Start a restored embedded database, migrate it and record the restore.  Raises CannotMigrate, CannotStart."""
    lock, server = homelock.Lock(home, homelock.MIGRATE), EmbeddedPostgres(home)
    try:
        await lock.acquire()
    except (homelock.AlreadyRunning, OSError) as error:
        raise CannotMigrate(f"can't record the restore: {error}") from error
    try:
        return await migrate(await server.start(), restored=True)
    finally:
        await server.stop()
        lock.release()


async def run_backup(config: ControlSettings, folder: Path) -> None:
    """Back up HUM_HOME and its embedded database.  Raises CannotBackUp."""
    await back_up(config, folder)
    sys.stdout.write(f"backed up {config.home} to {folder}\n")


async def run_restore(config: ControlSettings, folder: Path) -> None:
    """Restore a backup into an empty HUM_HOME.  Raises CannotBackUp."""
    applied = await restore(config, folder)
    sys.stdout.write("".join(f"applied {name}\n" for name in applied))
    sys.stdout.write(
        f"restored {folder} to {config.home}; what was to be sent before is looked for at the carrier first\n"
    )


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m storage", description=__doc__)
    arguments.add_argument("program", choices=("postgres", "migrate", "backup", "restore"))
    arguments.add_argument("folder", type=Path, nargs="?", default=Path(), help="of a backup")
    arguments.add_argument("--print-roles", action="store_true", help="print the SQL that an administrator runs once")
    arguments.add_argument("--restored", action="store_true", help="the database was restored from a backup")
    options = arguments.parse_args()
    if options.print_roles:
        sys.stdout.write(ROLES)
        return
    config = settings.load(ControlSettings)
    program.begin(config, "storage")
    try:
        match options.program:
            case "postgres":
                asyncio.run(run_postgres(config))
            case "migrate":
                asyncio.run(run_migrate(config, restored=options.restored))
            case "backup":
                asyncio.run(run_backup(config, options.folder.absolute()))
            case "restore":
                asyncio.run(run_restore(config, options.folder.absolute()))
    except (CannotStart, CannotMigrate, CannotBackUp) as error:
        refuse(str(error))


if __name__ == "__main__":
    main()
