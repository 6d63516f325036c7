"""The probes of `hum doctor`: requests, processes and files, all bounded.  `rules` judges the facts."""

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

from cli.doctor.billing import StripeFacts
from cli.doctor.bus import BusFacts
from cli.doctor.facts import CertificateFacts, DatabaseFacts, EngineFacts, NumberWebhooks, ProbeAnswer, RecordingBacklog
from cli.operator import operator
from hum import planfile, recordings, smtp, twiliosignature
from hum.clock import now
from hum.settings import UpSettings, environment
from hum.v1 import runtime_pb2

MOST_BYTES = 8 << 20
MOST_PAGES, PAGE = 10, 1000
STATUS, STREAM = "/twilio/voice/status", "/media/twilio"
#: Not a call's id: a gateway that accepts the signature does nothing, and answers 204.
NO_CALL = "doctor"
KEYS = ("node.key", "secret.keys", "sandbox.keys")


@dataclass(frozen=True, slots=True)
class Web:
    """An HTTP client with a time limit of `seconds` for a request."""

    http: aiohttp.ClientSession
    seconds: float

    async def ask(self, method: str, url: str, **options: Any) -> ProbeAnswer:
        """Send a request and return the answer, whatever it is; do not follow redirects."""
        try:
            async with (
                asyncio.timeout(self.seconds),
                self.http.request(method, url, allow_redirects=False, **options) as answer,
            ):
                skew_seconds = _skew_seconds(answer.headers.get("Date", ""))
                body = await _read(answer.content)
        except TimeoutError:
            return ProbeAnswer(0, fault=f"no answer within {self.seconds:g} s")
        except (aiohttp.ClientError, ValueError) as error:
            return ProbeAnswer(0, fault=_fault(error))
        json_body = None
        with suppress(ValueError):
            json_body = json.loads(body)
        return ProbeAnswer(answer.status, body.decode(errors="replace"), skew_seconds=skew_seconds, json=json_body)

    async def upgrade(self, url: str, headers: Mapping[str, str]) -> ProbeAnswer:
        """Request a WebSocket upgrade and return its status; close the socket at once."""
        try:
            async with asyncio.timeout(self.seconds), self.http.ws_connect(url, headers=headers):
                return ProbeAnswer(101)
        except TimeoutError:
            return ProbeAnswer(0, fault=f"no answer within {self.seconds:g} s")
        except aiohttp.WSServerHandshakeError as error:
            return ProbeAnswer(error.status)
        except (aiohttp.ClientError, ValueError) as error:
            return ProbeAnswer(0, fault=_fault(error))


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
    """Return an error in short: an exception of aiohttp may contain the whole URL, and a URL may contain a password."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return str(error.certificate_error)
    if isinstance(error, OSError) and error.errno:
        # getaddrinfo's codes are negative.
        return os.strerror(error.errno) if error.errno > 0 else "its name is unknown"
    return type(error).__name__ if isinstance(error, aiohttp.ClientError) else str(error)


# --- the systems outside ------------------------------------------------------------------------------------------


async def carrier_numbers(web: Web, config: UpSettings) -> tuple[ProbeAnswer, list[NumberWebhooks]]:
    """List the account's numbers; return the last answer, and the numbers."""
    base, account = config.twilio_api_base_url.rstrip("/"), config.twilio_account_sid
    tokens = config.twilio_auth_tokens
    login = aiohttp.encode_basic_auth(
        config.twilio_api_key or account, config.twilio_api_secret or (tokens[0] if tokens else "")
    )
    path = f"/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json?PageSize={PAGE}"
    lines: list[NumberWebhooks] = []
    answer = ProbeAnswer(0, fault="nothing was asked")
    for _ in range(MOST_PAGES):
        answer = await web.ask("GET", base + path, headers={"Authorization": login})
        page = answer.json if isinstance(answer.json, dict) else {}
        lines += [
            NumberWebhooks(number["phone_number"], number.get("voice_url") or "", number.get("status_callback") or "")
            for number in page.get("incoming_phone_numbers", ())
        ]
        path = page.get("next_page_uri") or ""
        if not path.startswith("/"):
            break
    return answer, lines


async def models(web: Web, config: UpSettings, names: Mapping[str, str]) -> dict[str, ProbeAnswer]:
    """Return the model API's answer about each model, by variable."""
    headers = {"Authorization": f"Bearer {config.openai_api_key}"}
    base = config.openai_base_url.rstrip("/")
    answers = await asyncio.gather(
        *(web.ask("GET", f"{base}/models/{name}", headers=headers) for name in names.values())
    )
    return dict(zip(names, answers, strict=True))


async def issuer(web: Web, config: UpSettings) -> ProbeAnswer | None:
    if not config.oidc_issuer:
        return None
    return await web.ask("GET", config.oidc_issuer.rstrip("/") + "/.well-known/openid-configuration")


async def stripe(web: Web, config: UpSettings) -> StripeFacts:
    """Return Stripe's answers about the plans' prices, its meters and its webhooks; without a key, only the plans."""
    try:
        plans = planfile.read(config.plans_file)
    except (ValueError, OSError) as error:
        return StripeFacts(None, str(error))
    if not config.stripe_api_key:
        return StripeFacts(plans)
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
    return StripeFacts(
        plans, prices=dict(zip(prices, answers, strict=False)), meters=answers[-2], endpoints=answers[-1]
    )


# --- the way from outside -----------------------------------------------------------------------------------------


async def webhook(web: Web, config: UpSettings) -> tuple[ProbeAnswer, ProbeAnswer]:
    """Request `/healthz` at the public URL, and a webhook about no call, signed like the carrier's; return the answers."""
    health = await web.ask("GET", f"{config.public_url}/healthz")
    url, token = config.public_url + STATUS, next(iter(config.twilio_auth_tokens), "")
    account = next(iter(sorted(config.carrier_accounts)), "")
    form = [("AccountSid", account), ("CallSid", NO_CALL), ("Unchanged", "a+b & 100 % \N{SNOWMAN}")]
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": twiliosignature.sign(token, url, form),
    }
    return health, await web.ask("POST", url, data=urlencode(form).encode(), headers=headers)


async def stream(web: Web, config: UpSettings) -> ProbeAnswer:
    """Request a WebSocket upgrade, signed like the carrier's."""
    url, token = config.media_url + STREAM, next(iter(config.twilio_auth_tokens), "")
    return await web.upgrade(url, {"X-Twilio-Signature": twiliosignature.sign(token, url, ())})


async def control(config: UpSettings, seconds: float) -> str:
    """Return the error code of an operator's request to control; empty if control answered."""
    async with operator(config, "hum-doctor") as plane:
        request = runtime_pb2.ListOrganizationsRequest(limit=1)
        try:
            await plane.stub.ListOrganizations(request, metadata=plane.metadata, timeout=seconds)
        except aio.AioRpcError as error:
            return error.code().name
    return ""


# --- this machine -------------------------------------------------------------------------------------------------


async def database(config: UpSettings, seconds: float) -> DatabaseFacts:
    """Return the facts of `storage.facts`, as only storage contains SQL."""
    facts = await _program("storage.facts", seconds, HUM_DATABASE_URL=config.database_url)
    return DatabaseFacts(fault=facts) if isinstance(facts, str) else DatabaseFacts(**facts)


async def bus(config: UpSettings, seconds: float) -> BusFacts:
    """Return the facts of `control.busfacts`, which uses control's own client."""
    facts = await _program("control.busfacts", seconds, HUM_BUS_URL=config.bus_url)
    return BusFacts(fault=facts) if isinstance(facts, str) else BusFacts(**facts)


async def engine(seconds: float) -> EngineFacts:
    facts = await _program("media.facts", seconds)
    return EngineFacts(fault=facts) if isinstance(facts, str) else EngineFacts(**facts)


async def _program(module: str, seconds: float, **variables: str) -> dict[str, Any] | str:
    """Return the JSON that a module prints, or the reason why there is none."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        env=environment() | variables,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate()
        facts: dict[str, Any] = json.loads(output)
    except TimeoutError:
        return f"no answer within {seconds:g} s"
    except ValueError:
        return f"`python -m {module}` ended with status {process.returncode}"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return facts


def certificate(config: UpSettings) -> CertificateFacts | None:
    """Read the certificate that this plane shows others, and check that its key and its authority belong to it."""
    if config.tls_cert is None:
        return None
    try:
        chain = x509.load_pem_x509_certificates(config.tls_cert.read_bytes())
        if config.tls_key is not None:
            key = serialization.load_pem_private_key(config.tls_key.read_bytes(), None)
            if key.public_key() != chain[0].public_key():
                return CertificateFacts("HUM_TLS_KEY is not the key of HUM_TLS_CERT")
        if config.tls_ca is not None:
            authorities = x509.load_pem_x509_certificates(config.tls_ca.read_bytes())
            if not any(_issued(chain[-1], authority) for authority in authorities):
                return CertificateFacts("HUM_TLS_CA is not the authority that issued HUM_TLS_CERT")
    except OSError as error:
        return CertificateFacts(f"{error.filename}: {error.strerror}")
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        return CertificateFacts(f"it can't be read: {str(error)[:200]}")
    expiry = min(authority.not_valid_after_utc for authority in chain) - now()
    return CertificateFacts(names=_names(chain[0]), days_left=expiry.total_seconds() / 86_400)


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [certificate.subject.rfc4514_string()]
    return [str(name.value) for name in names]


def key_files(home: Path) -> dict[str, int | None]:
    """Return the modes of the generated keys, by name; None for missing ones."""
    return {name: (home / name).stat().st_mode & 0o777 if (home / name).exists() else None for name in KEYS}


def home_fault(home: Path) -> tuple[str, int]:
    """Return why HUM_HOME, or the place where it will be created, is not writable; and the free bytes there."""
    place = next((folder for folder in (home.absolute(), *home.absolute().parents) if folder.exists()), Path("/"))
    if not place.is_dir():
        return f"{place} is no directory", 0
    fault = "" if os.access(place, os.W_OK | os.X_OK) else f"permission denied at {place}"
    return fault, shutil.disk_usage(place).free


async def store_fault(config: UpSettings, seconds: float) -> str:
    """Return why the bucket does not store, return and delete an object; empty if it does."""
    assert config.bucket is not None, "without a bucket there is nothing to look at"
    from hum.objects.bucket import StoreFault, open_bucket, probe

    try:
        without_retries = config.model_copy(update={"s3_retries": 0, "s3_request_seconds": seconds})
        await probe(open_bucket(without_retries, config.bucket))
    except StoreFault as error:
        return error.fault
    return ""


def waiting_recordings(config: UpSettings) -> RecordingBacklog:
    """Return this machine's recordings that are not uploaded to the bucket yet."""
    sizes, now_seconds = 0, now().timestamp()
    oldest = now_seconds
    files = [file for file in config.recordings_dir.glob("*/*") if recordings.owner(f"{file.parent.name}/{file.name}")]
    for file in files:
        with suppress(FileNotFoundError):  # it is uploaded by now
            status = file.stat()
            sizes, oldest = sizes + status.st_size, min(oldest, status.st_mtime)
    return RecordingBacklog(len(files), sizes, max(0.0, now_seconds - oldest))


def skews(answers: Mapping[str, Sequence[ProbeAnswer]]) -> dict[str, float]:
    """Return how far the clocks of the systems that answered are ahead of ours, in seconds."""
    by_name = {
        name: next((answer.skew_seconds for answer in of_system if answer.skew_seconds is not None), None)
        for name, of_system in answers.items()
    }
    return {name: seconds for name, seconds in by_name.items() if seconds is not None}


async def smtp_fault(config: UpSettings, seconds: float) -> str:
    """Return why the SMTP server can't be used; empty if it can.  Nothing is sent."""
    server = config.smtp_server
    assert server is not None, "without a server there is nothing to look at"
    try:
        await smtp.check(replace(server, seconds=min(server.seconds, seconds)))
    except smtp.NotSent as error:
        return str(error)
    return ""
