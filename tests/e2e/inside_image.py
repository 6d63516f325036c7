"""Runs in the image, for test_image.py, with the image's health check as its argument: `hum up`, and a call.  Prints JSON last."""

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from gateway.console import STATIC, Console
from media.core import vad

NUMBER, CALLER = "+13175550100", "+13175550199"
SECONDS = 120


def hum(*words: str) -> str:
    done = subprocess.run(["hum", *words], capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        sys.exit(f"hum {' '.join(words)}: {done.stdout}\n{done.stderr}")
    return done.stdout


def asked(url: str, key: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def found_in(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return found[0]


def call() -> dict[str, Any]:
    """A caller who listens to the greeting; what the platform says of it."""
    home = Path(os.environ["HUM_HOME"])
    run = json.loads((home / "run.json").read_text())
    org = found_in(r"org_\w+", hum("admin", "create-org", "--name", "Clinic", "--owner-email", "a@example.com"))
    key = found_in(r"hum_live_\w+", hum("admin", "create-api-key", "--org", org, "--role", "admin"))
    api = run["public_url"] + "/api"
    flow = asked(
        f"{api}/flows", key, {"name": "Intake", "greeting": "Welcome to the clinic.", "announce_recording": True}
    )
    asked(f"{api}/numbers", key, {"e164": NUMBER, "flow_id": flow["id"]})
    facts = json.loads(hum("call", "--to", NUMBER, "--from", CALLER, "--json").splitlines()[-1])
    return {"call": facts, "record": asked(f"{api}/calls/{facts['call_id']}", key)}


def main() -> None:
    importlib.import_module("media.legs.peer")  # browsers' calls
    told: dict[str, Any] = {"uid": os.getuid(), "core": vad.__file__, "console": Console.load(STATIC) is not None}
    with subprocess.Popen(["hum", "up"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as platform:
        try:
            told |= used(platform, json.loads(sys.argv[1]))
        finally:
            platform.send_signal(signal.SIGINT)
            platform.communicate(timeout=SECONDS)
    sys.stdout.write(json.dumps(told | {"exit": platform.returncode}) + "\n")


def used(platform: "subprocess.Popen[str]", check: list[str]) -> dict[str, Any]:
    """Once it is up."""
    assert platform.stdout is not None
    lines = list[str]()
    while "Stop with Ctrl-C." not in (line := platform.stdout.readline()):
        if not line:
            sys.exit("hum up ended:\n" + "".join(lines))
        lines.append(line)
    until = time.monotonic() + SECONDS
    while not (healthy := subprocess.run(check, capture_output=True, check=False).returncode == 0):
        if time.monotonic() > until:
            break
        time.sleep(0.2)
    return {"healthy": healthy, **call()}


main()
