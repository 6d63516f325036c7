"""Every service of the contract, discovered: whatever `make proto` wrote to `hum/v1` is part of it."""

import importlib
import pkgutil
from collections.abc import Iterator

from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor

from hum import v1


def files() -> Iterator[FileDescriptor]:
    """The files of `hum.v1`, by name."""
    for module in sorted(pkgutil.iter_modules(v1.__path__), key=lambda each: each.name):
        if module.name.endswith("_pb2"):
            descriptor: FileDescriptor = importlib.import_module(f"{v1.__name__}.{module.name}").DESCRIPTOR
            if descriptor.package == v1.__name__:
                yield descriptor


def services() -> Iterator[ServiceDescriptor]:
    """The services of `hum.v1`, by name."""
    found = {name: service for file in files() for name, service in file.services_by_name.items()}
    yield from (found[name] for name in sorted(found))
