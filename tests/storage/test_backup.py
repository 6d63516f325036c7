"""What `hum backup`, `hum restore` and `hum migrate --restored` refuse, each in one sentence, and leave as it was."""

import asyncio
import os
from pathlib import Path

import pytest

from hum.process.homelock import UP, AlreadyRunning, Lock
from hum.settings import ControlSettings
from storage.__main__ import run_migrate
from storage.backup import CannotBackUp, back_up, restore
from storage.embedded import EmbeddedPostgres
from storage.migrate import CannotMigrate


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def made_backup(folder: Path, version: str = "1") -> Path:
    data = folder / "postgres/data"
    data.mkdir(parents=True)
    (data / "backup_manifest").write_text("{}")
    (data / "PG_VERSION").write_text(f"{version}\n")
    return folder


async def test_a_backup_needs_a_running_database_of_its_own_and_a_new_directory(tmp_path: Path) -> None:
    config, folder = ControlSettings(home=tmp_path / "var"), tmp_path / "backup"
    with pytest.raises(CannotBackUp, match=r"no `hum up` runs in .*/var \(HUM_HOME\); start it"):
        await back_up(config, folder)
    with pytest.raises(CannotBackUp, match=r"HUM_DATABASE_URL is set: .* docs/backup.md"):
        await back_up(config.model_copy(update={"database_url": "postgresql://db.example/hum"}), folder)
    assert names(tmp_path) == []
    folder.mkdir()
    with pytest.raises(CannotBackUp, match="backup exists; name a directory that does not"):
        await back_up(config, folder)


async def test_a_restore_needs_a_backup_and_an_empty_home(tmp_path: Path) -> None:
    config, folder = ControlSettings(home=tmp_path / "var"), tmp_path / "backup"
    with pytest.raises(CannotBackUp, match="backup is no backup that `hum backup` has made"):
        await restore(config, folder)
    made_backup(folder)
    with pytest.raises(CannotBackUp, match="HUM_DATABASE_URL is set"):
        await restore(config.model_copy(update={"database_url": "postgresql://db.example/hum"}), folder)
    with pytest.raises(CannotBackUp, match="backup is of PostgreSQL 1, and this machine has"):
        await restore(config, folder)
    config.home.mkdir()
    (config.home / "run.json").touch()
    with pytest.raises(CannotBackUp, match=r"var \(HUM_HOME\) is not empty; set HUM_HOME to a directory that is empty"):
        await restore(config, folder)
    assert names(config.home) == ["run.json"]


async def test_a_damaged_backup_leaves_the_home_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.backup.EmbeddedPostgres.version", lambda _: 1)
    config, folder = ControlSettings(home=tmp_path / "var"), made_backup(tmp_path / "backup")
    with pytest.raises(CannotBackUp, match=r"^pg_verifybackup failed: "):
        await restore(config, folder)
    assert names(config.home) == ["up.lock"]
    # A home with nothing but the lock is empty.
    with pytest.raises(CannotBackUp, match=r"^pg_verifybackup failed: "):
        await restore(config, folder)


async def test_a_restore_refuses_the_home_of_a_running_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.backup.EmbeddedPostgres.version", lambda _: 1)
    config, folder = ControlSettings(home=tmp_path / "var"), made_backup(tmp_path / "backup")
    platform = Lock(config.home, UP)
    await platform.acquire()
    with pytest.raises(CannotBackUp, match=rf"can't restore .*: HUM already runs in .*: process {os.getpid()}, since"):
        await restore(config, folder)
    platform.release()
    with pytest.raises(CannotBackUp, match=r"^pg_verifybackup failed: "):
        await restore(config, folder)


async def test_nothing_else_runs_in_a_home_during_a_restore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, folder = ControlSettings(home=tmp_path / "var"), made_backup(tmp_path / "backup")
    monkeypatch.setattr("storage.backup.EmbeddedPostgres.version", lambda _: 1)

    def copying(*_: object) -> None:
        # Not even one that replaces another `hum up`: it would end the restore by a signal.
        asyncio.run(Lock(config.home, UP).acquire(replace=True))

    monkeypatch.setattr("storage.backup._copy_in", copying)
    with pytest.raises(AlreadyRunning, match=r"^`hum restore` runs in .*/var: process \d+, since .* Wait until it has"):
        await restore(config, folder)


async def test_a_platform_that_began_before_the_lock_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, folder = ControlSettings(home=tmp_path / "var"), made_backup(tmp_path / "backup")

    def version(_: object) -> int:
        config.home.mkdir()
        (config.home / "node.key").touch()
        return 1

    monkeypatch.setattr("storage.backup.EmbeddedPostgres.version", version)
    with pytest.raises(CannotBackUp, match=r"\(HUM_HOME\) is not empty"):
        await restore(config, folder)
    assert "node.key" in names(config.home)


async def test_a_restore_is_not_recorded_in_the_home_of_a_running_platform(tmp_path: Path) -> None:
    config = ControlSettings(home=tmp_path / "var", database_url="")
    platform = Lock(config.home, UP)
    await platform.acquire()
    with pytest.raises(
        CannotMigrate, match=rf"HUM already runs in .*/var: process {os.getpid()}, since .* Stop it, or"
    ):
        await run_migrate(config, restored=True)
    platform.release()
    assert names(config.home) == ["up.lock"], "the database was not started"


async def test_nothing_else_runs_in_a_home_while_a_restore_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ControlSettings(home=tmp_path / "var", database_url="")

    async def start(_: object) -> str:
        await Lock(config.home, UP).acquire(replace=True)
        return "postgresql://"

    monkeypatch.setattr(EmbeddedPostgres, "start", start)
    with pytest.raises(AlreadyRunning, match=r"^`hum migrate --restored` runs in .*/var: process \d+, since .* Wait"):
        await run_migrate(config, restored=True)
    platform = Lock(config.home, UP)
    await platform.acquire()
    platform.release()
