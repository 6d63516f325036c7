"""Alerts, dashboard and runbook fit together, and name what the product measures."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml
from prometheus_client import REGISTRY

import control.app
import gateway.app
import media.app
import voice.app

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/monitoring"
RUNBOOK = (ROOT / "docs/runbook.md").read_text()
PLANES = (control.app, gateway.app, media.app, voice.app)  # whose imports register all metrics
HISTOGRAMS = ("_bucket", "_count", "_sum")
#: What Prometheus itself adds to every series.
SCRAPED = frozenset({"instance", "job", "le"})


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / "hum-dashboard.json").read_text())["panels"]
    return found


def expressions() -> list[str]:
    return [rule["expr"] for rule in rules()] + [
        target["expr"] for panel in panels() for target in panel.get("targets", ())
    ]


def known() -> dict[str, frozenset[str]]:
    """Every series that a process may have, with its labels."""
    found = {}
    for name, collector in REGISTRY._names_to_collectors.items():
        labels = getattr(collector, "_labelnames", None)
        if labels is None:  # one that collects itself
            labels = {label for family in collector.collect() for sample in family.samples for label in sample.labels}
        found[name] = frozenset(labels)
    return found


def used() -> Iterator[tuple[str, set[str]]]:
    """The metrics of alerts and dashboard, with the labels by which they are chosen."""
    for expression in expressions():
        for name, selector in re.findall(r"\b(hum_\w+)(?:\{([^}]*)\})?", expression):
            yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))


def test_every_metric_exists_and_has_these_labels() -> None:
    series = known()
    for name, labels in used():
        assert name in series, f"no process has {name}"
        assert labels <= series[name] | SCRAPED, (name, labels)
    for expression in expressions():
        names = re.findall(r"\bhum_\w+", expression)
        for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
            has = set().union(*(series[name] for name in names)) | SCRAPED
            assert {label.strip() for label in grouped.split(",")} <= has, expression


def test_each_alert_has_its_section_and_each_section_its_alert() -> None:
    sections = re.split(r"^### ", RUNBOOK, flags=re.MULTILINE)[1:]
    assert [section.split("\n", 1)[0] for section in sections] == [rule["alert"] for rule in rules()]
    for rule, section in zip(rules(), sections, strict=True):
        parts = re.findall(r"^- \*\*(\w+)\*\*: \S", section, flags=re.MULTILINE)
        assert parts == ["Symptom", "Callers", "Look", "Do"], rule["alert"]
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"page", "ticket"} and rule["annotations"]["summary"]


def test_each_alert_is_tried() -> None:
    tried = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
    for test in tried:
        quiet, fires = test["alert_rule_test"]
        assert quiet["alertname"] == fires["alertname"] == test["name"]
        assert not quiet["exp_alerts"] and fires["exp_alerts"]
    assert [test["name"] for test in tried] == [rule["alert"] for rule in rules()]


def test_links_of_the_runbook_lead_somewhere() -> None:
    for page, anchor in re.findall(r"\]\(([^)#]*)#([^)]+)\)", RUNBOOK):
        text = (ROOT / "docs" / page).read_text() if page else RUNBOOK
        titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
        assert anchor in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}, anchor


async def test_the_statements_of_the_runbook_are_right(database_url: str) -> None:
    statements = re.findall(r"`((?:SELECT|UPDATE|DELETE) [^`]+)`", RUNBOOK)
    connection = await asyncpg.connect(database_url, server_settings={"role": "hum_system"})
    try:
        for statement in statements:
            await connection.prepare(statement)
    finally:
        await connection.close()
    assert len(statements) >= 5


def test_the_dashboard_is_whole() -> None:
    every = panels()
    assert len({panel["id"] for panel in every}) == len(every)
    taken = [panel["gridPos"] for panel in every]
    for index, one in enumerate(taken):
        assert one["x"] + one["w"] <= 24
        for other in taken[:index]:
            apart = one["y"] >= other["y"] + other["h"] or other["y"] >= one["y"] + one["h"]
            assert apart or one["x"] >= other["x"] + other["w"] or other["x"] >= one["x"] + one["w"], "panels overlap"
    for panel in every:
        assert panel["type"] == "row" or panel["targets"], panel["title"]


@pytest.mark.nodes
@pytest.mark.parametrize(
    "command", [("check", "rules", "alerts.yml"), ("check", "config", "prometheus.yml"), ("test", "rules", "alerts_test.yml")]
)  # fmt: skip
def test_prometheus_accepts_them(command: tuple[str, ...]) -> None:
    assert shutil.which("promtool"), "it is in Debian's package prometheus"
    done = subprocess.run(["promtool", *command], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
