"""Run the tests of `make test`, of `make house`, or of one topic.

python tests/run.py [PYTEST'S ARGUMENTS]
python tests/run.py --house [PYTEST'S ARGUMENTS]
python tests/run.py --topic NAME [PYTEST'S ARGUMENTS]
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.topics import TOPICS, missing, quick

PYTEST = [sys.executable, "-m", "pytest", "-rsfE"]
#: Some of them wait for real time at any moment: two processors have enough to do with so many.
WORKERS = 8
#: Checks of the sources, a part of `make static`.
HOUSE = "tests/house"
#: gRPC's handlers of fork would start its threads in each program that a test's loop starts, before it becomes that program: some
#: die there.
WITHOUT_FORK = {"GRPC_ENABLE_FORK_SUPPORT": "false"}


def command(topic: str | None) -> tuple[list[str], dict[str, str]]:
    """Return the program that runs these tests, and its additional environment."""
    if topic is None:
        return [*PYTEST, "-m", quick(), "--workers", str(WORKERS), "--ignore", HOUSE], {}
    workers = TOPICS[topic].workers
    several = [*PYTEST, *(["--workers", str(workers), "--whole-modules"] if workers > 1 else [])]
    match topic:
        case "nodes":
            return [sys.executable, "-m", "tests.chaos"], {}
        case "fuzz":
            return [*several, "-m", f"fuzz or ((hypothesis or sampled) and {quick()})"], {"TEST_EXAMPLES": "all"}
        case "interpreted":
            return [*several, "-m", f"interpreted or ({quick()})", "tests/media"], {"HUM_MEDIA_INTERPRETED": "1"}
        case _:
            return [*several, "-m", topic], {}


def main(argv: list[str]) -> None:
    topic = None
    if argv[:1] == ["--topic"]:
        topic, argv = argv[1], argv[2:]
        if topic not in TOPICS:
            sys.exit(f"there is no topic {topic!r}; make help lists them")
        if packages := missing(topic):
            sys.exit(f"check-{topic} needs Debian's packages: apt-get install {' '.join(packages)}")
    program, environment = command(topic)
    if argv[:1] == ["--house"]:
        program, argv = [*PYTEST, "-m", quick(), HOUSE], argv[1:]
    os.execve(program[0], [*program, *argv], os.environ | WITHOUT_FORK | environment)


if __name__ == "__main__":
    main(sys.argv[1:])
