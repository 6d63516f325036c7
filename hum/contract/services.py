"""The services of the contract, discovered in the modules that `make proto` writes to `hum/v1`."""

import importlib
import pkgutil
from collections.abc import Iterator

from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor

from hum import v1


def files() -> Iterator[FileDescriptor]:
    """Yield the files of `hum.v1`, by name."""
    for module in sorted(pkgutil.iter_modules(v1.__path__), key=lambda module_info: module_info.name):
        if module.name.endswith("_pb2"):
            descriptor: FileDescriptor = importlib.import_module(f"{v1.__name__}.{module.name}").DESCRIPTOR
            if descriptor.package == v1.__name__:
                yield descriptor


def services() -> Iterator[ServiceDescriptor]:
    """Yield the services of `hum.v1`, by name."""
    by_name = {name: service for file in files() for name, service in file.services_by_name.items()}
    yield from (by_name[name] for name in sorted(by_name))
