"""The files of deploy/, held against the tools that know their formats, and against the product."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hum import cascadefile, settings
from storage.migrate import ROLES

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
TOOLS = ROOT / ".venv-deploy/bin"
COMPOSE, KUBERNETES = DEPLOY / "compose/docker-compose.yml", DEPLOY / "kubernetes"
OLDEST_KUBERNETES, NEWEST_KUBERNETES = "1.30", "1.37"
PLANES = {"control", "worker", "gateway", "media"}


def run(program: str, *arguments: str | Path, **more: Any) -> str:
    """What a tool prints; it must be there, and end well."""
    found = TOOLS / program if (TOOLS / program).exists() else shutil.which(program, path="/usr/bin:/usr/sbin:/bin")
    if found is None:
        pytest.fail(
            f"{program} is not installed: `make .venv-deploy/.ready`, or what `python tests/topics.py packages nodes` names"
        )
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [found, *arguments], capture_output=True, text=True, check=False, **more
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def kubernetes() -> list[dict[str, Any]]:
    return [each for file in KUBERNETES.glob("*.yaml") for each in yaml.safe_load_all(file.read_text())]


def pods() -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in kubernetes() if _has_pods(each)}


def _has_pods(resource: dict[str, Any]) -> bool:
    return "template" in resource.get("spec", {})


@pytest.mark.nodes
def test_the_containerfile_is_clean() -> None:
    run("hadolint", "--config", DEPLOY / "hadolint.yaml", DEPLOY / "Containerfile")


@pytest.mark.nodes
def test_compose_is_valid() -> None:
    run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


@pytest.mark.nodes
@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, NEWEST_KUBERNETES])
def test_kubernetes_is_valid(version: str, tmp_path: Path) -> None:
    built = tmp_path / "built.yaml"
    built.write_text(run("kustomize", "build", KUBERNETES))
    run("kubernetes-validate", "--strict", "--kubernetes-version", version, built)
    assert len(list(yaml.safe_load_all(built.read_text()))) == len(kubernetes()) - 1 + 2, "and two maps of settings"


@pytest.mark.nodes
@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, NEWEST_KUBERNETES])
def test_kubernetes_with_cascades_is_valid(version: str, tmp_path: Path) -> None:
    folder = tmp_path / "kubernetes"
    shutil.copytree(KUBERNETES, folder)
    with (folder / "kustomization.yaml").open("a") as file:
        file.write("components: [cascades]\n")
    built = tmp_path / "built.yaml"
    built.write_text(run("kustomize", "build", folder))
    run("kubernetes-validate", "--strict", "--kubernetes-version", version, built)
    resources = list(yaml.safe_load_all(built.read_text()))
    found = {(each["kind"], each["metadata"]["name"]): each["spec"] for each in resources if "spec" in each}
    media = found["StatefulSet", "media"]["template"]["spec"]
    assert [each["name"] for each in media["containers"]] == ["media", "voice"]
    names = {each["name"] for each in media["volumes"]} | {"home"}
    assert all({mount["name"] for mount in each["volumeMounts"]} <= names for each in media["containers"])
    assert {name for (_, name), spec in found.items() if "/etc/hum/cascades" in str(spec)} == {
        "control",
        "worker",
        "media",
    }


@pytest.mark.nodes
@pytest.mark.parametrize("proxy", ["proxies/haproxy.cfg", "compose/haproxy.cfg"])
def test_haproxy_accepts_its_files(proxy: str, tmp_path: Path) -> None:
    subject = ("-subj", "/CN=localhost", "-days", "2", "-nodes", "-newkey", "rsa:2048")
    run("openssl", "req", "-x509", *subject, "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem")
    (tmp_path / "all.pem").write_text((tmp_path / "cert.pem").read_text() + (tmp_path / "key.pem").read_text())
    config = tmp_path / "haproxy.cfg"
    config.write_text((DEPLOY / proxy).read_text().replace("/etc/hum/tls", str(tmp_path)))
    names = {"HUM_GATEWAYS": "gateway:8080", "HUM_MEDIA": "media:8081"}
    printed = run("haproxy", "-c", "-f", config, env=names)
    assert "WARNING" not in printed and "ALERT" not in printed, printed


def test_every_variable_is_a_setting() -> None:
    """Of Compose, of Kubernetes, and of the units: `HUM_...` that no plane reads stops it."""
    known = set(settings.variables()) | {"HUM_GATEWAYS", "HUM_MEDIA"}  # the proxy's
    ours = {"HUM_IMAGE", "HUM_DOMAIN", "HUM_DATABASE_PASSWORD"}  # Compose's own
    for file in DEPLOY.rglob("*"):
        if file.is_file() and not {"monitoring", "__pycache__"} & set(file.parts):
            for name in re.findall(r"\bHUM_[A-Z_]+\b", file.read_text()):
                assert name in known | ours, (file, name)


def test_compose_names_what_it_has() -> None:
    compose = yaml.safe_load(COMPOSE.read_text())
    for name, service in compose["services"].items():
        assert set(service.get("secrets", ())) <= set(compose["secrets"]), name
        assert set(service["networks"]) <= set(compose["networks"]), name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source.startswith("./") or source in compose["volumes"], (name, source)
        assert set(service.get("depends_on", ())) <= set(compose["services"]), name
        if name in PLANES:
            assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["command"] == [name]
            assert not any("KEY" in each or "TOKEN" in each for each in service["environment"]), "secrets are files"
    assert PLANES <= set(compose["services"])
    assert [each for each, service in compose["services"].items() if "ports" in service] == ["proxy"]
    subnet = compose["networks"]["front"]["ipam"]["config"][0]["subnet"]
    assert compose["services"]["gateway"]["environment"]["HUM_TRUSTED_PROXIES"] == subnet


def test_who_has_which_secret() -> None:
    """Only planes that use the database can reach it, and only they open what is sealed."""
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    for plane in ("gateway", "media"):
        assert not {"HUM_DATABASE_URL", "HUM_SECRET_KEYS"} & set(services[plane]["secrets"])
        (volume,) = (each for each in pods()[plane]["volumes"] if each["name"] == "secrets")
        assert "control" not in {each["secret"]["name"] for each in volume["projected"]["sources"]}


@pytest.mark.parametrize(
    "folder", [DEPLOY / "compose/cascades", KUBERNETES / "cascades"], ids=lambda folder: folder.parent.name
)
def test_the_cascades_are_a_file_that_can_be_used(folder: Path) -> None:
    (cascade,) = cascadefile.read(folder / "cascades.toml").values()
    assert cascade.variables == {"STAGES_KEY"}


def test_nobody_but_voice_has_the_stages_key() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    assert [name for name, each in services.items() if "STAGES_KEY" in each.get("secrets", ())] == ["voice"]
    assert not {"HUM_DATABASE_URL", "HUM_SECRET_KEYS"} & set(services["voice"]["secrets"])


def test_the_databases_roles_are_those_that_hum_prints() -> None:
    lines = [line for line in ROLES.splitlines() if line.startswith(("GRANT", "CREATE"))]
    grants = [line for line in lines if "_login>" not in line]  # no pooler stands in between
    assert 5 < len(grants) < len(lines)
    script = (DEPLOY / "compose/roles.sh").read_text()
    for grant in grants:
        assert grant.replace("<login>", "hum").replace("<database>", "hum") in script


def test_pods_are_hardened_and_have_time_to_drain() -> None:
    drain = settings.UpSettings.model_fields["drain_seconds"].default
    assert set(pods()) == {*PLANES, "migrate", "proxy"}
    for name, pod in pods().items():
        assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"], name
        (container,) = pod["containers"]
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"], name
        assert context["capabilities"] == {"drop": ["ALL"]}, name
        if name != "migrate":
            assert pod["terminationGracePeriodSeconds"] > drain + 60, name
            assert container["readinessProbe"] and container["livenessProbe"] and container["lifecycle"]["preStop"], (
                name
            )


def test_reports_outlive_media_processes_and_control_is_replaced_one_by_one() -> None:
    made = {(each["kind"], each["metadata"]["name"]): each["spec"] for each in kubernetes() if "spec" in each}
    (claim,) = made["StatefulSet", "media"]["volumeClaimTemplates"]
    mounts = pods()["media"]["containers"][0]["volumeMounts"]
    assert {each["mountPath"] for each in mounts if each["name"] == claim["metadata"]["name"]} == {"/var/lib/hum"}
    for plane in ("control", "worker", "gateway", "media", "proxy"):
        assert made["PodDisruptionBudget", plane]["maxUnavailable"] == 1
    scaler = made["HorizontalPodAutoscaler", "media"]
    metric = scaler["metrics"][0]["pods"]["metric"]["name"]
    assert f'"{metric}"' in (ROOT / "media/metrics.py").read_text()
    assert "replicas" not in made["StatefulSet", "media"], "the autoscaler's to say"


def test_nobody_is_reached_but_as_the_policies_say() -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in kubernetes() if each["kind"] == "NetworkPolicy"}
    assert policies["nobody"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    for plane in ("control", "gateway", "media", "proxy"):
        listens = {each["containerPort"] for each in pods()[plane]["containers"][0]["ports"]} - {9090}
        allowed = {port["port"] for rule in policies[plane]["ingress"] for port in rule["ports"]}
        assert listens == allowed, plane
    assert not [each for each in kubernetes() if each["kind"] == "Service" and "operator" in str(each["spec"]["ports"])]


def test_one_proxy_is_both() -> None:
    assert (DEPLOY / "compose/haproxy.cfg").read_text() == (KUBERNETES / "haproxy.cfg").read_text()


@pytest.mark.parametrize("unit", sorted((DEPLOY / "systemd").glob("*.service")), ids=lambda unit: unit.stem)
def test_no_unit_is_ever_given_up(unit: Path) -> None:
    """However often a plane dies, systemd starts it again; a wrong setting (status 2) waits for a person."""
    lines = unit.read_text().splitlines()
    assert {"Restart=on-failure", "StartLimitIntervalSec=0", "RestartPreventExitStatus=2"} <= set(lines)


def test_each_plane_has_a_unit_of_its_own() -> None:
    assert {f"hum-{plane}@" for plane in PLANES | {"voice", "browser"}} <= {
        unit.stem for unit in (DEPLOY / "systemd").glob("*.service")
    }
