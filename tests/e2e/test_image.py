"""deploy/Containerfile, built whole by buildah on a Debian made from packages; and in it `hum up`, and a call."""

import json
import os
import re
import resource
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.nodes, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy/Containerfile"
INSIDE = Path(__file__).with_name("inside_image.py")
#: What this machine trusts beside Debian's certificates, where a proxy reads along.
CERTIFICATES = Path("/usr/local/share/ca-certificates")
CACHES = (Path("/root/.cache/pip"), Path("/root/.npm"))
IGNORED = (".*", "**/__pycache__", "**/node_modules", "**/_native", "gateway/static", "tests", "var")
#: A network with nothing but itself, where all ports are free.
ALONE = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


class Unusable(Exception):  # noqa: N818 - of this machine
    """Buildah failed; what it said."""


def limits() -> list[str]:
    """Those of this process: buildah asks for more, which takes a capability."""
    kinds = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    most = {name: resource.getrlimit(kind)[1] for name, kind in kinds.items()}
    return [f"--ulimit={name}={each}:{each}" for name, each in most.items()]


@dataclass
class Store:
    """Images and containers of their own, apart from this machine's."""

    folder: Path
    driver: str

    def run(self, *words: str | Path, given: str | None = None, within: tuple[str, ...] = ()) -> str:
        """What buildah prints.  Raises Unusable."""
        places = ("--root", self.folder / "root", "--runroot", self.folder / "run", "--storage-driver", self.driver)
        command = [*within, "buildah", *map(str, places), *map(str, words)]
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=1500, check=False)
        if done.returncode != 0:
            raise Unusable(f"{shlex.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done.stdout.strip()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    if missing := [each for each in ("buildah", "mmdebstrap", "unshare", "ip") if shutil.which(each) is None]:
        pytest.skip(f"{', '.join(missing)} not installed")
    if os.geteuid() != 0:
        pytest.skip("a Debian is made from packages by root only")
    reasons = []
    for driver in ("overlay", "vfs"):  # the first does not work upon itself, as in a container
        made = Store(tmp_path_factory.mktemp(driver), driver)
        try:
            made.run("rm", made.run("from", "scratch"))
            break
        except Unusable as error:
            reasons.append(str(error))
    else:
        pytest.skip("buildah can't be used here: " + "; ".join(reasons))
    yield made
    made.run("rm", "--all")
    made.run("rmi", "--all", "--force")
    shutil.rmtree(made.folder)


@pytest.fixture(scope="module")
def image(store: Store) -> str:
    base = re.search(r"^ARG BASE=\S+/debian:(\w+)-slim$", FILE.read_text(), re.MULTILINE)
    assert base is not None
    tar, ignored = store.folder / "debian.tar", store.folder / "ignored"
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--dpkgopt=path-exclude=/usr/share/doc/*"]
    if CERTIFICATES.is_dir():
        command.append(f"--customize-hook=copy-in {CERTIFICATES} {CERTIFICATES.parent}")
    subprocess.run([*command, base[1], str(tar)], check=True, timeout=300)
    container = store.run("from", "scratch")
    store.run("add", container, tar)
    store.run("commit", "--rm", container, "localhost/debian")
    tar.unlink()
    ignored.write_text("\n".join(IGNORED))
    given = [f"--env={name}" for name in os.environ if name.startswith(("PIP_", "NODE_EXTRA_", "npm_config_"))]
    caches = [f"--volume={each}:{each}" for each in CACHES if each.is_dir()]
    how = ("--isolation=chroot", "--format=docker", "--build-arg=BASE=localhost/debian", "--jobs=2", *limits())
    store.run("build", *how, f"--ignorefile={ignored}", f"--file={FILE}", *given, *caches, "--tag=localhost/hum", ROOT)
    return "localhost/hum"


def test_the_platform_runs_in_the_image_and_takes_a_call(store: Store, image: str) -> None:
    config = json.loads(store.run("inspect", "--type=image", image))["Docker"]["config"]
    assert (config["User"], config["Entrypoint"], config["WorkingDir"]) == ("10001:10001", ["hum"], "/var/lib/hum")
    assert set(config["ExposedPorts"]) == {"8080/tcp", "8081/tcp", "50051/tcp"}
    kind, *check = config["Healthcheck"]["Test"]
    assert kind == "CMD"
    container = store.run("from", *limits(), image)
    inside = ("run", "--isolation=chroot", container, "--", "python", "-", json.dumps(check))
    found = json.loads(store.run(*inside, given=INSIDE.read_text(), within=ALONE).splitlines()[-1])
    assert found["uid"] == 10001
    assert found["console"]
    assert "/_native/" in found["core"] and found["core"].endswith(".so"), "the core is machine code"
    assert found["healthy"], "the image's own health check"
    assert found["record"]["status"] == "completed" and found["record"]["transcript"], found
    assert any(turn["role"] == "agent" for turn in found["call"]["transcript"]), found
    assert found["exit"] == 0
