"""deploy/Containerfile, as far as it goes without a container: its steps in a clean folder, and a plane from what they make.

What is left out: Debian's packages, the user, and the second stage, which copies what the first one made.  `test_image.py` has them all.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hum.process.sockets import free_port

pytestmark = pytest.mark.nodes
ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "deploy/Containerfile").read_text()
PLACE = "/opt/hum"


def steps(stage: int) -> Iterator[tuple[str, str]]:
    """A stage's instructions and what follows them, comments and line ends removed."""
    lines = re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE).replace("\\\n", " ")
    for line in re.split(r"^FROM .*$", lines, flags=re.MULTILINE)[stage].splitlines():
        word, _, rest = line.partition(" ")
        if word:
            yield word, rest


def test_it_runs_as_nobody_in_particular_and_has_a_health_check() -> None:
    last = dict(steps(2))
    assert last["USER"] == "10001:10001" and "useradd --system --uid 10001" in TEXT
    assert last["ENTRYPOINT"] == '["hum"]'
    order = [word for word, _ in steps(2)]
    assert order.index("USER") < order.index("ENTRYPOINT") and "HEALTHCHECK" in order
    assert not re.search(r"(KEY|TOKEN|SECRET)=", TEXT), "no secrets in an image"


@pytest.mark.skipif(all(map(shutil.which, ("buildah", "mmdebstrap"))), reason="the whole image is built")
@pytest.mark.timeout(1200)
def test_its_steps_make_a_platform(tmp_path: Path) -> None:
    """Takes packages from PyPI and npm."""
    place, home = tmp_path / "hum", tmp_path / "home"
    place.mkdir()
    clean = {
        name: value for name, value in os.environ.items() if name.startswith(("PIP_", "NODE_EXTRA_", "npm_config_"))
    }
    clean |= {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": os.environ.get("HOME", "/")}
    for word, rest in steps(1):
        if word == "COPY":
            *sources, target = shlex.split(rest)
            for source in sources:
                if (ROOT / source).is_dir():
                    ignored = shutil.ignore_patterns("__pycache__", "_native", "node_modules", "static")
                    shutil.copytree(ROOT / source, place / target, ignore=ignored, symlinks=True)
                else:
                    (place / target).parent.mkdir(exist_ok=True)
                    shutil.copy(ROOT / source, place / target)
        elif word == "RUN" and not rest.startswith("apt-get"):
            done = subprocess.run(["sh", "-c", rest], cwd=place, env=clean, capture_output=True, text=True, check=False)
            assert done.returncode == 0, (rest, done.stderr[-2000:])
        else:
            assert word in {"RUN", "WORKDIR"}, word

    settings = dict(re.findall(r"(HUM_\w+)=(\S+)", dict(steps(2))["ENV"]))
    port = free_port("127.0.0.1")
    settings |= {"HUM_HOME": str(home), "HUM_GATEWAY_LISTEN": "127.0.0.1:0", "HUM_METRICS_LISTEN": f"0.0.0.0:{port}"}
    inside = clean | settings | {"PATH": f"{place}/.venv/bin:{clean['PATH']}"}
    core = "from media.core import vad; print(vad.__file__)"
    where = subprocess.run(
        ["python", "-c", core], cwd="/", env=inside, capture_output=True, text=True, check=True
    ).stdout
    assert "site-packages/media/_native" in where and ".so" in where, "the core is machine code"
    console = "from gateway.console import STATIC, Console; assert Console.load(STATIC)"
    subprocess.run(["python", "-c", console], cwd="/", env=inside, check=True)
    browsers = "import aiortc, media.legs.peer"
    subprocess.run(["python", "-c", browsers], cwd="/", env=inside, check=True, timeout=60)
    running = subprocess.Popen(["hum", "gateway", "--workers", "1"], cwd="/", env=inside)
    try:
        check = re.search(r"HEALTHCHECK .* CMD (\[.*\])", TEXT)
        assert check is not None
        python, option, code = eval(check[1])
        command = [python, option, code.replace(":9090/readyz", f":{port}/healthz")]
        deadline = time.monotonic() + 60
        while subprocess.run(command, env=inside, capture_output=True, check=False).returncode != 0:
            assert running.poll() is None and time.monotonic() < deadline, "the health check does not pass"
            time.sleep(0.2)
        ready = [python, option, code.replace(":9090", f":{port}")]
        assert subprocess.run(ready, env=inside, capture_output=True, check=False).returncode != 0, (
            "there is no control"
        )
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(60)
