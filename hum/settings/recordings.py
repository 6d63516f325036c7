"""The store of recordings: a directory, or a bucket that speaks S3."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

from pydantic import field_validator, model_validator

from hum import recordings
from hum.network import base_url
from hum.settings.base import Common, constant, setting

_BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)/?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class BucketName(NamedTuple):
    """A bucket, and the prefix of its keys: empty, or a path that ends in `/`."""

    bucket: str
    prefix: str


class RecordingSettings(Common):
    """The store of recordings."""

    recordings_url: str = setting(
        "HUM_RECORDINGS_URL",
        "",
        "where recordings and files of texts are stored: a directory that control, workers and media share, or "
        "`s3://bucket/prefix`; unset: HUM_HOME/recordings",
    )
    s3_endpoint: str = setting(
        "HUM_S3_ENDPOINT", "", "URL of the object store, without the bucket; unset: Amazon's for HUM_S3_REGION"
    )
    s3_region: str = setting("HUM_S3_REGION", "us-east-1", "region of the bucket")
    s3_access_key_id: str = setting(
        "HUM_S3_ACCESS_KEY_ID", "", "key for the object store; unset: the machine's own role at Amazon"
    )
    s3_secret_access_key: str = setting("HUM_S3_SECRET_ACCESS_KEY", "", "secret of HUM_S3_ACCESS_KEY_ID")
    s3_encryption: str = setting(
        "HUM_S3_ENCRYPTION",
        "",
        "encryption that the object store is asked for: `AES256`, `aws:kms` with the account's default key, or `aws:kms:KEY`; unset: "
        "the bucket's own default",
        pattern="^(AES256|aws:kms(:.+)?)?$",
    )
    s3_connect_seconds: float = constant(3.0, "seconds to wait for a connection to the object store", gt=0)
    s3_request_seconds: float = constant(
        30.0, "seconds that one request to the object store may take, with its body", gt=0
    )
    s3_retries: int = constant(4, "how often a request to the object store is repeated", ge=0, le=20)
    s3_retry_seconds: float = constant(
        60.0, "seconds after which a request to the object store is not repeated any more", gt=0
    )
    voicemail_min_voice_ms: float = constant(
        400.0,
        "milliseconds of a voice without which a caller's message is not kept",
        ge=0,
    )

    @field_validator("recordings_url")
    @classmethod
    def _place(cls, url: str) -> str:
        if _SCHEME.match(url) and _BUCKET.fullmatch(url) is None:
            raise ValueError(f"{url!r} is neither a directory nor a URL like s3://bucket/prefix")
        return url

    @field_validator("s3_endpoint")
    @classmethod
    def _endpoint(cls, url: str) -> str:
        return base_url(url, "http", "https") if url else url

    @model_validator(mode="after")
    def _together(self) -> Self:
        if bool(self.s3_access_key_id) != bool(self.s3_secret_access_key):
            raise ValueError("HUM_S3_ACCESS_KEY_ID and HUM_S3_SECRET_ACCESS_KEY belong together; set both, or neither")
        return self

    @property
    def recordings_dir(self) -> Path:
        """The directory of recordings; with a bucket, until they are uploaded."""
        return Path(self.recordings_url) if self.recordings_url and self.bucket is None else self.home / "recordings"

    @property
    def bucket(self) -> BucketName | None:
        """The bucket; None if recordings stay in their directory."""
        match = _BUCKET.fullmatch(self.recordings_url)
        return BucketName(match[1], f"{match[2].strip('/')}/".lstrip("/")) if match else None

    @property
    def recording_names(self) -> Callable[[str, str], Iterator[str]]:
        """The names of a call's recordings: numbered in a directory; unique in a bucket, where not all are visible."""
        return recordings.names if self.bucket is None else recordings.unique_names


class StoringSettings(RecordingSettings):
    """The upload of recordings to the bucket by a media process."""

    store_scan_seconds: float = constant(
        2.0, "seconds between looks for recordings that are to be stored in the bucket", gt=0
    )
    store_settle_seconds: float = constant(
        1.0,
        "seconds that a recording has not changed before it is stored in the bucket",
        ge=0,
    )
    store_retry_seconds: float = constant(
        60.0,
        "the longest rest, in seconds, while the bucket takes nothing; it grows up to that with each failure",
        gt=0,
    )
    store_bytes_per_second: int = constant(
        32 << 20,
        "bytes a second that the media processes of a machine send to the bucket; 250 recorded calls make 8 MiB a second",
        ge=64 << 10,
    )
