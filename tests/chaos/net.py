"""A network of its own for a test: machines that are far apart, lose packets, or vanish without a word.

Each machine is a network namespace with one interface, a TAP whose frames a switch in user space carries to the others, later or not
at all.  Nothing leads out.  Takes root, iproute2 and /dev/net/tun; of Python, the standard library.

    with Network("a", "b") as network:
        server = network.start("a", ["postgres", ...])
        network.slow(delay_ms=5)
        network.cut("a")        # from everybody: what was sent is gone, and nobody is told
        network.part("a", "b")  # these two only
        network.heal()
        network.power_off("a")
"""

import ctypes
import fcntl
import heapq
import itertools
import json
import os
import random
import select
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

INTERFACE = "eth0"
SUBNET = "10.83.0"
FRAME_BYTES = 65_536
#: Frames that are read from one machine before another one's turn.
BURST = 32
ROOT = Path(__file__).parents[2]
_TUN, _SET_INTERFACE, _TAP_WITHOUT_HEADER, _NEW_NET = Path("/dev/net/tun"), 0x400454CA, 0x0002 | 0x1000, 0x40000000
_numbers = itertools.count(1)


def missing() -> list[str]:
    """What this machine lacks for a network of its own, a sentence each."""
    found = [] if shutil.which("ip") else ["`ip` is missing: install iproute2"]
    if not _TUN.exists():
        found.append(f"{_TUN} is missing: give the container that device")
    return found


class Network:
    """The machines with these names, while the context lasts; whatever still runs on them is killed at its end."""

    def __init__(self, *names: str) -> None:
        self._prefix = f"hum{os.getpid()}-{next(_numbers)}-"
        self._names = names
        self._started: list[subprocess.Popen[Any]] = []

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.chaos.net", self._prefix, *self._names]
        self._switch = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self._switch.stdout is not None
        if self._switch.stdout.readline() != "ready\n":
            self._switch.wait()
            raise RuntimeError("the network can't be made; its reason is above")
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._names:
            self._kill_all(name)
        for process in self._started:
            process.wait()
        self._switch.communicate()  # the end of its input is its end
        self._switch.wait()

    def address(self, name: str) -> str:
        return f"{SUBNET}.{self._names.index(name) + 1}"

    def command(self, name: str, command: Sequence[str]) -> list[str]:
        """The command, as it is run on that machine."""
        return ["ip", "netns", "exec", self._prefix + name, *command]

    def start(self, name: str, command: Sequence[str], **options: Any) -> "subprocess.Popen[Any]":
        """A process on that machine; its id is the command's own."""
        process = subprocess.Popen(self.command(name, command), **options)
        self._started.append(process)
        return process

    def run(self, name: str, command: Sequence[str], **options: Any) -> "subprocess.CompletedProcess[Any]":
        return subprocess.run(self.command(name, command), check=True, **options)

    def slow(
        self, delay_ms: float = 0.0, jitter_ms: float = 0.0, lost_share: float = 0.0, *, between: str = ""
    ) -> None:
        """Each frame takes so long, each way, or is lost.  `between`: only those of these machines, separated by commas."""
        self._tell(between=between.split(",") if between else self._names, quality=[delay_ms, jitter_ms, lost_share])

    def cut(self, *names: str) -> None:
        """These machines reach one another and nobody else, and nobody reaches them."""
        self._tell(cut=names)

    def part(self, ones: str, others: str) -> None:
        """These machines and those, separated by commas, don't reach one another; everybody else does."""
        self._tell(part=[ones.split(","), others.split(",")])

    def heal(self) -> None:
        """Every machine reaches every other one."""
        self._tell(cut=[])

    def kill(self, name: str) -> None:
        """Everything on a machine ends; the machine itself says so to whoever is connected."""
        self._kill_all(name)

    def power_off(self, name: str) -> None:
        """Everything on a machine ends, and nobody is told: not even connections are closed."""
        self.cut(name)
        self._kill_all(name)

    def _tell(self, **order: object) -> None:
        assert self._switch.stdin is not None and self._switch.stdout is not None
        self._switch.stdin.write(json.dumps(order) + "\n")
        self._switch.stdin.flush()
        assert self._switch.stdout.readline() == "done\n", "the switch has ended"

    def _kill_all(self, name: str) -> None:
        listed = subprocess.run(
            ["ip", "netns", "pids", self._prefix + name], capture_output=True, text=True, check=False
        )
        for pid in listed.stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), 9)


# --- the switch, a process of its own -----------------------------------------------------------------------------


@dataclass
class Way:
    """From one machine to another."""

    delay_seconds: float = 0.0
    jitter_seconds: float = 0.0
    lost_share: float = 0.0
    is_cut: bool = False
    #: No frame overtakes another.
    last_due: float = 0.0


class Switch:
    """Carries frames between machines, by their hardware addresses."""

    def __init__(self, taps: Sequence[int]) -> None:
        self._taps = taps
        self._ways = {(one, other): Way() for one in range(len(taps)) for other in range(len(taps)) if one != other}
        self._by_hardware = {hardware(number): number for number in range(len(taps))}
        self._due: list[tuple[float, int, int, bytes]] = []
        self._count = itertools.count()

    def order(self, names: Sequence[str], order: dict[str, Any]) -> None:
        if "quality" in order:
            delay_ms, jitter_ms, lost_share = order["quality"]
            for way in self._between({names.index(each) for each in order["between"]}):
                way.delay_seconds, way.jitter_seconds, way.lost_share = delay_ms / 1000, jitter_ms / 1000, lost_share
        if "cut" in order:
            apart = {names.index(each) for each in order["cut"]}
            for (one, other), way in self._ways.items():
                way.is_cut = (one in apart) != (other in apart)
        if "part" in order:
            ones, others = ({names.index(each) for each in side} for side in order["part"])
            for (one, other), way in self._ways.items():
                way.is_cut = (one in ones and other in others) or (one in others and other in ones)

    def _between(self, machines: set[int]) -> Iterator[Way]:
        return (way for ends, way in self._ways.items() if machines.issuperset(ends))

    def run(self, orders: int, obey: Any) -> None:
        """Until `orders`, a descriptor, is at its end."""
        poll = select.epoll()
        for descriptor in (orders, *self._taps):
            poll.register(descriptor, select.EPOLLIN)
        numbers = {descriptor: number for number, descriptor in enumerate(self._taps)}
        while True:
            wait = max(0.0, self._due[0][0] - time.monotonic()) if self._due else -1
            for descriptor, _ in poll.poll(wait):
                if descriptor != orders:
                    self._take(numbers[descriptor])
                elif not obey():
                    return
            while self._due and self._due[0][0] <= time.monotonic():
                _, _, number, frame = heapq.heappop(self._due)
                self._give(number, frame)

    def _take(self, source: int) -> None:
        for _ in range(BURST):
            try:
                frame = os.read(self._taps[source], FRAME_BYTES)
            except BlockingIOError:
                return
            known = self._by_hardware.get(frame[:6])
            for target in range(len(self._taps)) if known is None else (known,):
                if target != source:
                    self._carry(self._ways[source, target], target, frame)

    def _carry(self, way: Way, target: int, frame: bytes) -> None:
        if way.is_cut or (way.lost_share and random.random() < way.lost_share):
            return
        if not (way.delay_seconds or way.jitter_seconds):
            self._give(target, frame)
            return
        due = time.monotonic() + way.delay_seconds + random.random() * way.jitter_seconds
        way.last_due = max(due, way.last_due)
        heapq.heappush(self._due, (way.last_due, next(self._count), target, frame))

    def _give(self, target: int, frame: bytes) -> None:
        with suppress(OSError):  # its queue is full, as a real one's may be
            os.write(self._taps[target], frame)


def hardware(number: int) -> bytes:
    """A machine's address, of those that nobody owns."""
    return bytes((0x02, 0, 0, 0, 0, number + 1))


@contextmanager
def _machines(prefix: str, names: Iterable[str]) -> Iterator[list[int]]:
    """The namespaces, and their interfaces' other ends."""
    made, taps = list[str](), list[int]()
    try:
        for number, name in enumerate(names):
            _ip("netns", "add", prefix + name)
            made.append(prefix + name)
            taps.append(_tap(prefix + name))
            inside = ("-n", prefix + name)
            address = ":".join(f"{byte:02x}" for byte in hardware(number))
            _ip(*inside, "link", "set", INTERFACE, "address", address, "txqueuelen", "4096", "up")
            _ip(*inside, "link", "set", "lo", "up")
            _ip(*inside, "address", "add", f"{SUBNET}.{number + 1}/24", "dev", INTERFACE)
        yield taps
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "delete", name], check=False)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _tap(namespace: str) -> int:
    """An interface in a namespace, whose frames this process reads and writes."""
    libc = ctypes.CDLL(None, use_errno=True)
    home, there = (os.open(path, os.O_RDONLY) for path in ("/proc/self/ns/net", f"/run/netns/{namespace}"))
    try:
        if libc.setns(there, _NEW_NET):
            raise OSError(ctypes.get_errno(), "can't enter a namespace")
        try:
            descriptor = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(descriptor, _SET_INTERFACE, struct.pack("16sH22x", INTERFACE.encode(), _TAP_WITHOUT_HEADER))
        finally:
            libc.setns(home, _NEW_NET)
    finally:
        os.close(home)
        os.close(there)
    return descriptor


def _say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def main() -> None:
    prefix, *names = sys.argv[1:]
    with _machines(prefix, names) as taps:
        switch = Switch(taps)

        def obey() -> bool:
            line = sys.stdin.readline()  # orders come one at a time, each waits for its answer
            if line:
                switch.order(names, json.loads(line))
                _say("done")
            return bool(line)

        _say("ready")
        switch.run(sys.stdin.fileno(), obey)


if __name__ == "__main__":
    main()
