"""docs/settings.md, generated from the settings.

python -m hum.settings.page > docs/settings.md
"""

import sys

from hum.settings import Common, ControlSettings, GatewaySettings, MediaSettings, VoiceSettings, variables


def as_markdown() -> str:
    """Return docs/settings.md: every variable, the programs that read it, its default and its meaning."""
    programs: dict[str, type[Common]] = {
        "control, worker": ControlSettings,
        "gateway": GatewaySettings,
        "media": MediaSettings,
        "voice": VoiceSettings,
    }
    lines = [
        "# Settings",
        "",
        "Environment variables, all optional in development. An invalid value or an unknown `HUM_*` name stops the",
        "process with a message that says what to do. What is no variable is a constant of the product: time limits,",
        "intervals, sizes, and limits on what an organization has. This page is the output of `python -m hum.settings.page`;",
        "a test compares them.",
        "",
        "| variable | default | read by | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for name, field in variables().items():
        readers = [program for program, kind in programs.items() if name in _aliases(kind)]
        read_by = "all" if len(readers) == len(programs) else ", ".join(readers) or "the command `hum`"
        default = "" if field.default in {None, ""} else f"`{field.default}`"
        lines.append(f"| `{name}` | {default} | {read_by} | {field.description} |")
    return "\n".join(lines) + "\n"


def _aliases(kind: type[Common]) -> set[str]:
    return {str(field.validation_alias) for field in kind.model_fields.values()}


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
