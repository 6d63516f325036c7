"""What `hum doctor` makes of what it finds."""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cli.doctor import probes, rules, running_config
from cli.doctor.facts import DatabaseFacts, EngineFacts, NumberWebhooks, ProbeAnswer, RecordingBacklog
from cli.doctor.finding import Finding, verdict
from hum import ids
from hum.ids import Kind
from hum.process.production import make_keys
from hum.settings import UpSettings

AT = "https://hum.example.com"
HOOKS = (f"{AT}/twilio/voice#rc=5", f"{AT}/twilio/voice/status#rc=5")
GOOD = {
    "public_url": AT,
    "media_url": "wss://hum.example.com",
    "twilio_account_sid": "AC1",
    "twilio_auth_token": "carrier-secret",
    "openai_api_key": "model-secret",
    "database_url": "postgresql://hum:database-secret@db.example.com/hum",
}
NAMES = ("max_connections", "fsync", "full_page_writes", "synchronous_commit", "autovacuum")
DATABASE = DatabaseFacts(
    version=170002,
    encoding="UTF8",
    settings=dict.fromkeys(NAMES, "on") | {"max_connections": "100", "default_transaction_read_only": "off"},
)


def config(**more: Any) -> UpSettings:
    return UpSettings(**{**GOOD, **more})


def fixes(findings: Sequence[Finding]) -> list[str]:
    return [each.line() for each in findings if not each.is_ok]


def told(findings: Sequence[Finding], *parts: str) -> bool:
    """Whether one thing is to be fixed, with these words."""
    (line,) = fixes(findings)
    return all(part in line for part in parts)


def test_a_finding_is_a_line() -> None:
    assert Finding("model", "answers").line() == "ok   model        answers"
    assert Finding("model", "is away", "start it").line() == "fix  model        is away: start it"
    assert verdict([Finding("a", "b")]) == "All is well."
    assert verdict([Finding("a", "b", "c"), Finding("a", "b")]) == "1 thing to fix."
    assert verdict([Finding("a", "b", "c")] * 2) == "2 things to fix."


def test_settings() -> None:
    assert fixes(rules.settings([], config())) == []
    assert told(rules.settings(["HUM_X is not a setting; remove it"], config()), "HUM_X")
    assert told(rules.settings(["HUM_MAX_CALLS: no number"], None), "HUM_MAX_CALLS")
    assert told(rules.settings([], config(oidc_issuer="https://id.example.com")), "HUM_OIDC_CLIENT_ID")
    assert told(rules.settings([], config(carrier_connections=900)), "carrier_connections")
    assert told(rules.settings([], config(tls_cert=Path("x"))), "HUM_TLS_KEY")
    bare = fixes(rules.settings([], config(env="production", public_url="http://x")))
    assert [word in line for word, line in zip(("NODE_KEY", "SECRET_KEYS", "PUBLIC_URL"), bare, strict=True)] == [
        True
    ] * 3
    keys = make_keys()
    strong = config(env="production", node_key=keys["HUM_NODE_KEY"], secret_keys=keys["HUM_SECRET_KEYS"])
    assert fixes([*rules.settings([], strong), *rules.keys(strong, {})]) == []


def test_keys_and_home() -> None:
    assert fixes(rules.keys(config(), {"node.key": 0o600, "secret.keys": None})) == []
    assert told(rules.keys(config(), {"node.key": 0o644, "secret.keys": 0o600}), "chmod 600 var/node.key")
    assert fixes([rules.home(config(), "", 1 << 30)]) == []
    assert told([rules.home(config(), "permission denied", 1 << 30)], "permission denied")
    assert told([rules.home(config(), "", 1 << 20)], "1 MiB are free")


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({}, ()),
        ({"fault": "can't use db: no password"}, ("no password", "HUM_DATABASE_URL")),
        ({"version": 140011}, ("PostgreSQL 14.11", "15 or later")),
        ({"is_standby": True}, ("standby", "primary")),
        ({"encoding": "SQL_ASCII"}, ("SQL_ASCII", "UTF8")),
        ({"missing_roles": ["hum_app"]}, ("hum_app", "--print-roles")),
        ({"missing_extensions": ["btree_gist"]}, ("btree_gist", "contrib")),
        ({"unapplied": ["base", "more"]}, ("2 migrations", "hum migrate")),
        ({"is_newer": True}, ("later release",)),
        *(({"settings": {name: "off"}}, (f"{name} is off", "ALTER SYSTEM")) for name in NAMES[1:]),
        ({"settings": {"default_transaction_read_only": "on"}}, ("read-only",)),
        ({"settings": {"max_connections": "50"}}, ("50 connections", "HUM_DATABASE_POOL")),
    ],
)
def test_the_database(changes: dict[str, Any], parts: tuple[str, ...]) -> None:
    found = rules.database(replace(DATABASE, **changes), config())
    assert told(found, *parts) if parts else fixes(found) == []
    assert "secret" not in str(found)


def test_control() -> None:
    assert fixes([rules.control("", config())]) == []
    assert told([rules.control("PERMISSION_DENIED", config())], "HUM_NODE_KEY")
    assert told([rules.control("UNAVAILABLE", config())], "HUM_CONTROL_ADDRESS", "UNAVAILABLE")


@pytest.mark.parametrize(
    ("changes", "answer", "parts"),
    [
        ({"twilio_account_sid": ""}, ProbeAnswer(0), ("TWILIO_ACCOUNT_SID",)),
        ({"twilio_auth_token": ""}, ProbeAnswer(0), ("TWILIO_AUTH_TOKEN",)),
        ({}, ProbeAnswer(401), ("refuses account AC1", "correct TWILIO_AUTH_TOKEN")),
        ({"twilio_api_key": "SK1"}, ProbeAnswer(401), ("TWILIO_API_SECRET",)),
        ({}, ProbeAnswer(404), ("no account AC1",)),
        ({}, ProbeAnswer(503), ("answered 503",)),
        ({}, ProbeAnswer(0, fault="no answer within 1 s"), ("no answer within 1 s", "TWILIO_API_BASE_URL")),
    ],
)
def test_the_carriers_account(changes: dict[str, Any], answer: ProbeAnswer, parts: tuple[str, ...]) -> None:
    found = rules.carrier(config(**changes), answer)
    assert found is not None and told([found], *parts)
    assert rules.carrier(config(), ProbeAnswer(200)) is None


def test_numbers() -> None:
    here, astray = NumberWebhooks("+1", *HOOKS), NumberWebhooks("+2", "https://old.example.com/twilio/voice", HOOKS[1])
    silent, free = NumberWebhooks("+3", HOOKS[0], ""), NumberWebhooks("+4", "https://demo.example.com/hello", "")
    assert fixes(rules.numbers(config(), [here, astray, free], ["+1"])) == []
    assert told(rules.numbers(config(), [here, astray], ["+1", "+2"]), "+2", "https://old.example.com", HOOKS[0][:-5])
    assert told(rules.numbers(config(), [here, silent], ["+3"]), "+3", "status to nowhere")
    assert told(rules.numbers(config(), [here], ["+1", "+5"]), "does not hold +5")
    assert told(rules.numbers(config(), [here, astray, free], None), "+2"), "by their URLs, if the database is away"
    many = [NumberWebhooks(f"+{n}", "", "") for n in range(1000)]
    assert len(fixes(rules.numbers(config(), many, [each.e164 for each in many]))) == rules.MOST_NAMED + 1


def test_the_model() -> None:
    names = rules.models(config())
    well = dict.fromkeys(names, ProbeAnswer(200))
    assert fixes(rules.model(config(), well)) == []
    assert told(rules.model(config(openai_api_key=""), well), "OPENAI_API_KEY")
    assert told(rules.model(config(), dict.fromkeys(names, ProbeAnswer(401))), "refuses the key")
    unknown = rules.model(config(), well | {"HUM_TEXT_MODEL": ProbeAnswer(404)})
    assert told(unknown, f"no {config().text_model}", "correct HUM_TEXT_MODEL")
    assert told(
        rules.model(config(), dict.fromkeys(names, ProbeAnswer(0, fault="refused"))), "refused", "OPENAI_BASE_URL"
    )


def test_sign_in() -> None:
    given = config(oidc_issuer="https://id.example.com", oidc_client_id="hum")
    assert fixes([rules.sign_in(config(), None)]) == []
    assert fixes([rules.sign_in(given, ProbeAnswer(200, json={"issuer": "https://id.example.com"}))]) == []
    other = ProbeAnswer(200, json={"issuer": "https://id.example.com/"})
    assert told([rules.sign_in(given, other)], "https://id.example.com/", "exactly that")
    assert told([rules.sign_in(given, ProbeAnswer(200, "hello"))], "HUM_OIDC_ISSUER")
    plain = config(env="production", oidc_issuer="http://id.example.com")
    assert told([rules.sign_in(plain, ProbeAnswer(200))], "https")


def test_public_urls() -> None:
    health, arrived = ProbeAnswer(200, "ok\n"), ProbeAnswer(204)
    assert fixes([rules.public_url(config(), health, arrived), rules.media_url(config(), ProbeAnswer(101))]) == []
    assert told([rules.public_url(config(), ProbeAnswer(200, "a parked domain"), arrived)], "HUM_PUBLIC_URL")
    assert told([rules.public_url(config(), ProbeAnswer(0, fault="ssl"), arrived)], "ssl")
    assert told([rules.public_url(config(), health, ProbeAnswer(403))], "unchanged", "proxy")
    assert told([rules.public_url(config(), health, ProbeAnswer(301))], "301")
    assert told([rules.media_url(config(), ProbeAnswer(403))], "unchanged", "proxy")
    assert told([rules.media_url(config(), ProbeAnswer(503))], "/readyz")
    assert told([rules.media_url(config(), ProbeAnswer(400))], "WebSockets")


def test_clocks() -> None:
    assert fixes([rules.clocks({}), rules.clocks({"carrier": -0.9, "model": 0.3})]) == []
    assert told([rules.clocks({"carrier": 61.0, "model": 0.0})], "61 s behind that of the carrier", "NTP")
    assert told([rules.clocks({"carrier": -61.0})], "61 s ahead of")


def test_the_core() -> None:
    one = EngineFacts(compiled=True, blas="openblas", blas_threads=1)
    production = config(env="production")
    assert fixes(rules.engine(one, production)) == []
    assert told(rules.engine(replace(one, blas_threads=8), config()), "OPENBLAS_NUM_THREADS=1")
    assert fixes(rules.engine(replace(one, compiled=False), config())) == [], "a slower core is no fault at home"
    assert told(rules.engine(replace(one, compiled=False), production), "gcc")
    assert told(rules.engine(replace(one, compiled=False, interpreted=True), production), "HUM_MEDIA_INTERPRETED")
    assert told(rules.engine(EngineFacts(fault="ended with status 1"), config()), "status 1")


def test_agents_and_media() -> None:
    assert fixes([rules.agents(replace(DATABASE, numbers=["+1", "+2"]))]) == []
    assert told(
        [rules.agents(replace(DATABASE, numbers=["+1", "+2"], silent=["+2"]))], "no agent answers +2", "flow_id"
    )
    assert "no number yet" in rules.agents(DATABASE).what
    assert rules.media([process(), process("full"), process()], config()).what == (
        "2 of 3 processes take calls; they have 500 places"
    )
    assert told([rules.media([], config())], "hum media", "HUM_NODE_KEY")
    none = [process("full"), process("lagging"), process("full")]
    assert told([rules.media(none, config())], "none of 3", "(full, lagging)")


def test_zones_and_releases_of_media_processes() -> None:
    here, there, full = process(zone="a"), process(zone="b", version="0.2.0"), process("full", zone="c")
    found = rules.media([here, here, there, full, process()], config(zone="a"))
    assert found.is_ok and "2 in a, 1 in b" in found.what and "1 in no zone" in found.what
    assert "c" not in found.what.split("releases")[0].split(":")[1], "its only process takes no calls"
    assert "releases 0.1.0, 0.2.0" in found.what
    assert told([rules.media([here, full], config(zone="c"))], "none in c", "HUM_ZONE")
    assert "releases" not in rules.media([here, full], config()).what


def process(refuses: str = "", **more: str) -> dict[str, Any]:
    return {"refuses": refuses, "zone": "", "version": "0.1.0", "places": 250, **more}


def test_the_latest_call() -> None:
    assert "call one of the numbers" in rules.last_call(None).what
    well = {"seconds_ago": 185.0, "status": "completed", "reason": "caller"}
    assert rules.last_call(well).line() == "ok   calls        the latest began 3 minutes ago: completed, caller"
    for reason, words in rules.FAULTS.items():
        assert told([rules.last_call(well | {"status": "failed", "reason": reason})], reason, words)
    assert rules.last_call(well | {"status": "failed", "reason": "unheard of"}).is_ok
    ago = [rules.last_call(well | {"seconds_ago": float(n)}).what.split()[3:5] for n in (5, 130, 7_300, 200_000)]
    assert ago == [["5", "s"], ["2", "minutes"], ["2", "hours"], ["2", "days"]]


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and what it issued: `plane` for 90 days, `late` for one that is over."""
    folder = tmp_path_factory.mktemp("tls")
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ours = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    now = datetime.now(UTC)

    def write(name: str, public: ec.EllipticCurvePublicKey, subject: x509.Name, days: int) -> None:
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ours)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=100))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("control.example.com")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))

    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plane")])
    write("ca", key.public_key(), ours, 1000)
    for name, days in (("plane", 90), ("soon", 3), ("late", -5)):
        write(name, other.public_key(), own, days)
    for name, each in (("ca", key), ("plane", other)):
        pem = each.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}.key").write_bytes(pem)
    return folder


def test_certificates_between_planes(issued: Path) -> None:
    def looked(cert: str, key: str = "plane.key", authority: str = "ca.pem") -> Finding:
        with_tls = config(tls_cert=issued / cert, tls_key=issued / key, tls_ca=issued / authority)
        return rules.certificate(probes.certificate(with_tls), with_tls)

    well = looked("plane.pem")
    assert well.is_ok and "control.example.com, for 90 more days" in well.what
    assert told([looked("soon.pem")], "expires in 3 days", "renew")
    assert told([looked("late.pem")], "expired 5 days ago")
    assert told([looked("plane.pem", key="ca.key")], "not the key")
    assert told([looked("plane.pem", authority="plane.pem")], "not the authority")
    assert told([looked("nothing.pem")], "No such file")
    assert told([looked("plane.key")], "can't be read")
    assert rules.certificate(None, config()).is_ok, "on one machine"
    assert told([rules.certificate(None, config(control_address="10.0.0.5:50051"))], "10.0.0.5 without TLS")


def test_open_files() -> None:
    assert fixes([rules.open_files(config(), 65_536)]) == []
    assert told([rules.open_files(config(), 1024)], "1024 are allowed", "LimitNOFILE=1294", "HUM_MAX_CALLS")


def test_stand_ins_are_looked_at_as_the_planes_have_them() -> None:
    run = {"carrier_url": "http://127.0.0.1:1", "twilio_auth_token": "t", "model_url": "http://127.0.0.1:2/v1"}
    seen = running_config(UpSettings(), run, {"OPENAI_API_KEY": "k"})
    assert (seen.twilio_api_base_url, seen.twilio_auth_token) == ("http://127.0.0.1:1", "t")
    assert (seen.openai_base_url, seen.openai_api_key) == ("http://127.0.0.1:2/v1", "k")
    assert running_config(config(), {}, {}) == config()


def test_a_bucket_that_takes_nothing_and_recordings_that_wait() -> None:
    bucket = config(recordings_url="s3://calls/hum", s3_access_key_id="AK1", s3_secret_access_key="bucket-secret")
    nothing, much = RecordingBacklog(0, 0, 0.0), RecordingBacklog(3, 5 << 20, 7_200.0)
    assert rules.recordings(bucket, nothing, "").is_ok
    assert told(
        [rules.recordings(bucket, much, "the store refuses our key")], "refuses our key", "3 files of 5 MiB wait"
    )
    assert told([rules.recordings(bucket, much, "")], "the oldest for 120 minutes", "media runs here")
    assert "bucket-secret" not in rules.recordings(bucket, much, "x").line()


def test_what_waits_for_the_bucket_is_counted(tmp_path: Path) -> None:
    bucket = config(home=tmp_path, recordings_url="s3://calls/hum")
    assert probes.waiting_recordings(bucket) == RecordingBacklog(0, 0, 0.0)
    org, call = ids.show(Kind.ORGANIZATION, ids.new()), ids.show(Kind.CALL, ids.new())
    folder = bucket.recordings_dir / org
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_bytes(b"x")
    (folder / f"{call}.wav").write_bytes(b"x" * 1000)
    os.utime(folder / f"{call}.wav", (1, 1))
    found = probes.waiting_recordings(bucket)
    assert (found.files, found.size_bytes) == (1, 1000) and found.oldest_seconds > 1e9
