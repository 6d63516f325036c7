"""Requests to the store that we sign ourselves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiohttp import web

from hum.objects import multipart
from hum.objects.bucket import StoreFault
from hum.objects.multipart import SignableRequest, Upload, Uploads, _parsed, sign_request
from hum.settings import RecordingSettings
from tests.support import httpserver
from tests.support.present import present

LISTED = b"""<?xml version="1.0" encoding="UTF-8"?>
<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>calls</Bucket>
<Upload><Key>hum/a.wav</Key><UploadId>1</UploadId><Initiated>2026-11-26T10:11:12.000Z</Initiated></Upload>
<Upload><Key>hum/b.wav</Key><UploadId>2</UploadId><Initiated>2026-11-26T10:11:13.000Z</Initiated></Upload>
</ListMultipartUploadsResult>"""


def test_the_signature_is_the_one_in_the_standards_example() -> None:
    request = SignableRequest("GET", "examplebucket.s3.amazonaws.com", "/", "lifecycle=")
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    headers = sign_request(request, "AKIAIOSFODNN7EXAMPLE", secret, "us-east-1", datetime(2013, 5, 24, tzinfo=UTC))
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
        "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
    )


@pytest.mark.parametrize("body", [LISTED, LISTED.replace(b' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"', b"")])
def test_uploads_are_listed_with_and_without_a_namespace(body: bytes) -> None:
    assert _parsed(body) == [
        Upload("hum/a.wav", "1", datetime(2026, 11, 26, 10, 11, 12, tzinfo=UTC)),
        Upload("hum/b.wav", "2", datetime(2026, 11, 26, 10, 11, 13, tzinfo=UTC)),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<a>",
        b"{}",
        b"<a><Upload><Key>x</Key></Upload></a>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        LISTED[:-30],
    ],
)
def test_what_is_no_list_is_a_fault(body: bytes) -> None:
    with pytest.raises(StoreFault, match="can't be read"):
        _parsed(body)


@asynccontextmanager
async def answering(*pieces: bytes) -> AsyncIterator[Uploads]:
    """A store whose every answer comes in these pieces, with a while between them."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0.05)
        return response

    async with httpserver.answering(answer) as url:
        settings = RecordingSettings(
            recordings_url="s3://calls/hum",
            s3_endpoint=url,
            s3_access_key_id="key",
            s3_secret_access_key="secret",
        )
        yield Uploads(settings, present(settings.bucket))


async def test_an_answer_that_comes_in_pieces_is_read_as_a_whole() -> None:
    async with answering(LISTED[:150], LISTED[150:300], LISTED[300:]) as uploads:
        assert [each.id for each in await uploads.open_ones()] == ["1", "2"]


async def test_an_answer_that_is_too_long_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "MAX_ANSWER_BYTES", len(LISTED) - 1)
    async with answering(LISTED[:200], LISTED[200:]) as uploads:
        with pytest.raises(StoreFault, match="more than"):
            await uploads.open_ones()
