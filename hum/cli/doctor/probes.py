"""How `hum doctor` finds out: requests, processes and files, each bounded.  What they mean is for `rules`."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from grpc import aio

from hum import carrier, planfile, recordings, smtp
from hum.cli.doctor.billing import Found
from hum.cli.doctor.bus import Bus
from hum.cli.doctor.facts import Answer, Certificate, Database, Engine, Line, Waiting
from hum.cli.operator import operator
from hum.clock import now
from hum.settings import UpSettings, environment
from hum.v1 import runtime_pb2

MOST_BYTES = 8 << 20
MOST_PAGES, PAGE = 10, 1000
STATUS, STREAM = "/twilio/voice/status", "/media/twilio"
#: No call's id: a gateway that finds the signature good does nothing, and answers 204.
NO_CALL = "doctor"
KEYS = ("node.key", "secret.keys", "sandbox.keys")


@dataclass(frozen=True, slots=True)
class Web:
    """HTTP, each request within `seconds`."""

    http: aiohttp.ClientSession
    seconds: float

    async def ask(self, method: str, url: str, **more: Any) -> Answer:
        """The answer, whatever it is; redirects are not followed."""
        try:
            async with (
                asyncio.timeout(self.seconds),
                self.http.request(method, url, allow_redirects=False, **more) as answer,
            ):
                skew_seconds = _skew_seconds(answer.headers.get("Date", ""))
                body = await _read(answer.content)
        except TimeoutError:
            return Answer(0, fault=f"no answer within {self.seconds:g} s")
        except (aiohttp.ClientError, ValueError) as error:
            return Answer(0, fault=_fault(error))
        parsed = None
        with suppress(ValueError):
            parsed = json.loads(body)
        return Answer(answer.status, body.decode(errors="replace"), skew_seconds=skew_seconds, json=parsed)

    async def upgrade(self, url: str, headers: Mapping[str, str]) -> Answer:
        """The status with which a WebSocket upgrade is answered; the socket is closed at once."""
        try:
            async with asyncio.timeout(self.seconds), self.http.ws_connect(url, headers=headers):
                return Answer(101)
        except TimeoutError:
            return Answer(0, fault=f"no answer within {self.seconds:g} s")
        except aiohttp.WSServerHandshakeError as error:
            return Answer(error.status)
        except (aiohttp.ClientError, ValueError) as error:
            return Answer(0, fault=_fault(error))


async def _read(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > MOST_BYTES:
            raise ValueError(f"it sends more than {MOST_BYTES >> 20} MiB")
    return bytes(body)


def _skew_seconds(date: str) -> float | None:
    try:
        return (parsedate_to_datetime(date) - now()).total_seconds()
    except (ValueError, TypeError):
        return None


def _fault(error: Exception) -> str:
    """What went wrong, in short: an exception of aiohttp may name the whole URL, and a URL may hold a password."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return str(error.certificate_error)
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else "its name is unknown"  # as getaddrinfo has it
    return type(error).__name__ if isinstance(error, aiohttp.ClientError) else str(error)


# --- the systems outside ------------------------------------------------------------------------------------------


async def carrier_numbers(web: Web, config: UpSettings) -> tuple[Answer, list[Line]]:
    """The account's numbers; the last answer, and those that it holds."""
    base, account = config.twilio_api_base_url.rstrip("/"), config.twilio_account_sid
    tokens = config.twilio_auth_tokens
    login = aiohttp.encode_basic_auth(
        config.twilio_api_key or account, config.twilio_api_secret or (tokens[0] if tokens else "")
    )
    path = f"/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json?PageSize={PAGE}"
    held: list[Line] = []
    answer = Answer(0, fault="nothing was asked")
    for _ in range(MOST_PAGES):
        answer = await web.ask("GET", base + path, headers={"Authorization": login})
        page = answer.json if isinstance(answer.json, dict) else {}
        held += [
            Line(each["phone_number"], each.get("voice_url") or "", each.get("status_callback") or "")
            for each in page.get("incoming_phone_numbers", ())
        ]
        path = page.get("next_page_uri") or ""
        if not path.startswith("/"):
            break
    return answer, held


async def models(web: Web, config: UpSettings, names: Mapping[str, str]) -> dict[str, Answer]:
    """What the model's API says of each model, by variable."""
    headers = {"Authorization": f"Bearer {config.openai_api_key}"}
    base = config.openai_base_url.rstrip("/")
    answers = await asyncio.gather(
        *(web.ask("GET", f"{base}/models/{name}", headers=headers) for name in names.values())
    )
    return dict(zip(names, answers, strict=True))


async def issuer(web: Web, config: UpSettings) -> Answer | None:
    if not config.oidc_issuer:
        return None
    return await web.ask("GET", config.oidc_issuer.rstrip("/") + "/.well-known/openid-configuration")


async def stripe(web: Web, config: UpSettings) -> Found:
    """What Stripe says of the plans' prices, its meters and its webhooks; nothing is asked without a key."""
    try:
        plans = planfile.read(config.plans_file)
    except (ValueError, OSError) as error:
        return Found(None, str(error))
    if not config.stripe_api_key:
        return Found(plans)
    headers, base = {"Authorization": f"Bearer {config.stripe_api_key}"}, config.stripe_api_base.rstrip("/")
    prices = [
        price
        for plan in plans.plans
        for price in (plan.price_id, plan.seat_price_id, *plan.metered_price_ids)
        if price is not None
    ]
    paths = [
        *(f"prices/{price}" for price in prices),
        "billing/meters?status=active&limit=100",
        "webhook_endpoints?limit=100",
    ]
    answers = await asyncio.gather(*(web.ask("GET", f"{base}/v1/{path}", headers=headers) for path in paths))
    return Found(plans, prices=dict(zip(prices, answers, strict=False)), meters=answers[-2], endpoints=answers[-1])


# --- the way from outside -----------------------------------------------------------------------------------------


async def webhook(web: Web, config: UpSettings) -> tuple[Answer, Answer]:
    """`/healthz` at the public URL, and a webhook as the carrier signs it, about no call."""
    health = await web.ask("GET", f"{config.public_url}/healthz")
    url, token = config.public_url + STATUS, next(iter(config.twilio_auth_tokens), "")
    account = next(iter(sorted(config.carrier_accounts)), "")
    form = [("AccountSid", account), ("CallSid", NO_CALL), ("Unchanged", "a+b & 100 % \N{SNOWMAN}")]
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": carrier.sign(token, url, form),
    }
    return health, await web.ask("POST", url, data=urlencode(form).encode(), headers=headers)


async def stream(web: Web, config: UpSettings) -> Answer:
    """A WebSocket upgrade as the carrier signs it."""
    url, token = config.media_url + STREAM, next(iter(config.twilio_auth_tokens), "")
    return await web.upgrade(url, {"X-Twilio-Signature": carrier.sign(token, url, ())})


async def control(config: UpSettings, seconds: float) -> str:
    """What came instead of control's answer to an operator; empty if it answered."""
    async with operator(config, "hum-doctor") as plane:
        request = runtime_pb2.ListOrganizationsRequest(limit=1)
        try:
            await plane.stub.ListOrganizations(request, metadata=plane.metadata, timeout=seconds)
        except aio.AioRpcError as error:
            return error.code().name
    return ""


# --- this machine -------------------------------------------------------------------------------------------------


async def database(config: UpSettings, seconds: float) -> Database:
    """As `storage.facts` finds it: only storage speaks SQL."""
    found = await _program("storage.facts", seconds, HUM_DATABASE_URL=config.database_url)
    return Database(fault=found) if isinstance(found, str) else Database(**found)


async def bus(config: UpSettings, seconds: float) -> Bus:
    """As `control.busfacts` finds it, with control's own client."""
    found = await _program("control.busfacts", seconds, HUM_BUS_URL=config.bus_url)
    return Bus(fault=found) if isinstance(found, str) else Bus(**found)


async def engine(seconds: float) -> Engine:
    found = await _program("media.facts", seconds)
    return Engine(fault=found) if isinstance(found, str) else Engine(**found)


async def _program(module: str, seconds: float, **more: str) -> dict[str, Any] | str:
    """The JSON that a module prints, or a sentence that says why there is none."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        env=environment() | more,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(seconds):
            printed, _ = await process.communicate()
        found: dict[str, Any] = json.loads(printed)
    except TimeoutError:
        return f"no answer within {seconds:g} s"
    except ValueError:
        return f"`python -m {module}` ended with status {process.returncode}"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return found


def certificate(config: UpSettings) -> Certificate | None:
    """The certificate that this plane shows others, and whether its key and its authority belong to it."""
    if config.tls_cert is None:
        return None
    try:
        chain = x509.load_pem_x509_certificates(config.tls_cert.read_bytes())
        if config.tls_key is not None:
            key = serialization.load_pem_private_key(config.tls_key.read_bytes(), None)
            if key.public_key() != chain[0].public_key():
                return Certificate("HUM_TLS_KEY is not the key of HUM_TLS_CERT")
        if config.tls_ca is not None:
            authorities = x509.load_pem_x509_certificates(config.tls_ca.read_bytes())
            if not any(_issued(chain[-1], each) for each in authorities):
                return Certificate("HUM_TLS_CA is not the authority that issued HUM_TLS_CERT")
    except OSError as error:
        return Certificate(f"{error.filename}: {error.strerror}")
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        return Certificate(f"it can't be read: {str(error)[:200]}")
    left = min(each.not_valid_after_utc for each in chain) - now()
    return Certificate(names=_names(chain[0]), days_left=left.total_seconds() / 86_400)


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [certificate.subject.rfc4514_string()]
    return [str(each.value) for each in found]


def key_files(home: Path) -> dict[str, int | None]:
    """The modes of the generated keys, by name; None for those that are not there."""
    return {name: (home / name).stat().st_mode & 0o777 if (home / name).exists() else None for name in KEYS}


def home_fault(home: Path) -> tuple[str, int]:
    """Why nothing can be written to HUM_HOME, or to where it will be; and the free bytes there."""
    place = next((each for each in (home.absolute(), *home.absolute().parents) if each.exists()), Path("/"))
    if not place.is_dir():
        return f"{place} is no directory", 0
    fault = "" if os.access(place, os.W_OK | os.X_OK) else f"permission denied at {place}"
    return fault, shutil.disk_usage(place).free


async def store_fault(config: UpSettings, seconds: float) -> str:
    """Why the bucket does not take, give and delete an object; empty if it does."""
    assert config.bucket is not None, "without a bucket there is nothing to look at"
    from hum.objects.bucket import StoreFault, opened, probe

    try:
        once = config.model_copy(update={"s3_retries": 0, "s3_request_seconds": seconds})
        await probe(opened(once, config.bucket))
    except StoreFault as error:
        return error.fault
    return ""


def waiting_recordings(config: UpSettings) -> Waiting:
    """What of this machine's recordings is not in the bucket yet."""
    sizes, at = 0, now().timestamp()
    oldest = at
    files = [each for each in config.recordings_dir.glob("*/*") if recordings.owner(f"{each.parent.name}/{each.name}")]
    for each in files:
        with suppress(FileNotFoundError):  # it is stored by now
            found = each.stat()
            sizes, oldest = sizes + found.st_size, min(oldest, found.st_mtime)
    return Waiting(len(files), sizes, max(0.0, at - oldest))


def skews(answers: Mapping[str, Sequence[Answer]]) -> dict[str, float]:
    """By how much the clocks of those who answered are ahead of ours, in seconds."""
    found = {
        name: next((each.skew_seconds for each in all_ if each.skew_seconds is not None), None)
        for name, all_ in answers.items()
    }
    return {name: seconds for name, seconds in found.items() if seconds is not None}


async def smtp_fault(config: UpSettings, seconds: float) -> str:
    """Why e-mails can't be handed over; empty if they can.  Nothing is sent."""
    server = config.smtp_server
    assert server is not None, "without a server there is nothing to look at"
    try:
        await smtp.check(replace(server, seconds=min(server.seconds, seconds)))
    except smtp.NotSent as error:
        return str(error)
    return ""
