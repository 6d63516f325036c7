"""Names of recordings, and where a deployment has them."""

from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from hum import ids, recordings
from hum.ids import Kind
from hum.process import production
from hum.settings import MediaSettings
from hum.settings.recordings import BucketName

ORG_ID, CALL_ID, TEXT_ID = (UUID(int=(1 << 120) + n) for n in range(3))
ORG, CALL, TEXT = (
    ids.show(Kind.ORGANIZATION, ORG_ID),
    ids.show(Kind.CALL, CALL_ID),
    ids.show(Kind.MESSAGE, TEXT_ID),
)


def test_each_name_says_whose_it_is() -> None:
    for names in (recordings.names, recordings.unique_names):
        made = list(islice(names(ORG, CALL), 5))
        assert len(set(made)) == 5
        for name in (*made, made[0] + recordings.PEAKS):
            assert recordings.owner(name) == (ORG_ID, Kind.CALL, CALL_ID)
            assert name.startswith(recordings.prefix(ORG, CALL))
    assert recordings.owner(f"{ORG}/texts/{TEXT}.3") == (ORG_ID, Kind.MESSAGE, TEXT_ID)


@pytest.mark.parametrize(
    "path",
    [
        "", "x.wav", f"{ORG}/x.wav", f"{CALL}.wav", f"../{ORG}/{CALL}.wav", f"{ORG}/../{CALL}.wav", f"{ORG}/{CALL}.wav.part",
        f"{ORG}/{CALL}.wav.peaks.part", f"{ORG}/{CALL}.a/b.wav", f"{ORG}/{CALL}.wav\n", f"{ORG}/texts/{TEXT}", "org_1/call_1.wav",
        f"{ORG}/texts/{TEXT}.0.part", f"{ORG}/{TEXT}.wav", f"{ORG}/texts/{CALL}.0",
    ],
)  # fmt: skip
def test_other_files_are_nobodys(path: str) -> None:
    assert recordings.owner(path) is None


@pytest.mark.parametrize(
    ("url", "bucket"),
    [
        ("", None),
        ("/srv/recordings", None),
        ("recordings", None),
        ("s3://calls", BucketName("calls", "")),
        ("s3://calls/", BucketName("calls", "")),
        ("s3://my.calls-1/hum/eu", BucketName("my.calls-1", "hum/eu/")),
        ("s3://my.calls-1/hum/eu/", BucketName("my.calls-1", "hum/eu/")),
    ],
)
def test_a_directory_or_a_bucket(url: str, bucket: BucketName | None, tmp_path: Path) -> None:
    settings = MediaSettings(home=tmp_path, recordings_url=url)
    assert settings.bucket == bucket
    expected = tmp_path / "recordings" if bucket or not url else Path(url)
    assert settings.recordings_dir == expected


@pytest.mark.parametrize(
    "url",
    ["gs://calls", "http://x/y", "file:///srv", "s3://", "s3://A", "s3://calls/../x", "s3://calls//x", "s3://c?x"],
)
def test_what_is_neither_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="neither a directory nor a URL like"):
        MediaSettings(recordings_url=url)


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ({"s3_access_key_id": "AK1"}, "set both"),
        ({"s3_secret_access_key": "secret"}, "set both"),
        ({"s3_encryption": "aws:kms:"}, "pattern"),
        ({"s3_encryption": "rot13"}, "pattern"),
        ({"s3_endpoint": "minio:9000"}, "not a URL"),
    ],
)
def test_half_a_bucket_is_refused(more: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValidationError, match=wrong):
        MediaSettings(recordings_url="s3://calls", **more)


@pytest.mark.parametrize(
    ("endpoint", "is_fine"),
    [("", True), ("https://s3.example.com", True), ("http://127.0.0.1:9000", True), ("http://minio:9000", False)],
)
def test_in_production_no_call_crosses_the_network_in_the_clear(endpoint: str, is_fine: bool) -> None:
    settings = MediaSettings(env="production", recordings_url="s3://calls", s3_endpoint=endpoint)
    assert any("HUM_S3_ENDPOINT" in each for each in production.problems(settings)) is not is_fine
