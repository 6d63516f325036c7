"""What is done with the contract in `proto/`.

    python proto/contract.py write      write hum/v1: messages, type stubs, gRPC stubs, comments
    python proto/contract.py check      exit 1 if hum/v1 is not what proto/ says
    python proto/contract.py breaking   exit 100 if proto/ breaks the released contract (proto/released.binpb)
    python proto/contract.py release    make proto/ the released contract; goes with a line in CHANGELOG

buf builds the image (and so resolves the imports), protoc writes the code. `buf/validate` comes out beside our own
files, because a top-level package `buf` of ours would fight with everybody else's.
"""

import argparse
import filecmp
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "hum" / "v1"
RELEASED = ROOT / "proto" / "released.binpb"
#: As in buf.yaml, which speaks of modules and so not of images.
BREAKING = '{"version": "v2", "breaking": {"use": ["WIRE_JSON"]}}'
BIN = Path(sys.executable).parent


def generate(into: Path) -> None:
    """Write all generated modules into the folder `into`."""
    with tempfile.TemporaryDirectory() as scratch:
        image, out = Path(scratch, "image.binpb"), Path(scratch, "out")
        out.mkdir()
        subprocess.run([BIN / "buf", "build", ROOT, "-o", image], check=True, cwd=ROOT)
        own = sorted(str(path.relative_to(ROOT / "proto")) for path in (ROOT / "proto" / "hum").rglob("*.proto"))
        protoc = [sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_in={image}"]
        plugins = [f"--plugin=protoc-gen-{name}={BIN}/protoc-gen-{name}" for name in ("mypy", "mypy_grpc")]
        messages = [f"--python_out={out}", f"--mypy_out=quiet,readable_stubs:{out}"]
        subprocess.run([*protoc, *plugins, *messages, *own, "buf/validate/validate.proto"], check=True)
        subprocess.run(
            [*protoc, *plugins, f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}", *own], check=True
        )
        for made in sorted((*out.glob("hum/v1/*_pb2*"), *out.glob("buf/validate/*_pb2*"))):
            if "_grpc." in made.name and "Stub" not in made.read_text():
                continue  # a file without services
            (into / made.name).write_text(own_validate(made.read_text()))
        (into / "comments.binpb").write_bytes(comments(image))
    (into / "__init__.py").write_text(
        '"""The contract, generated from proto/ by proto/contract.py.  Never edited."""\n'
    )


def own_validate(source: str) -> str:
    """Point imports of `buf.validate` at the copy in hum.v1."""
    return (
        source.replace("from buf.validate import validate_pb2", "from hum.v1 import validate_pb2")
        .replace("from buf.validate import", "from hum.v1 import")
        .replace("import buf.validate.validate_pb2\n", "import hum.v1.validate_pb2\n")
        .replace("buf.validate.validate_pb2.", "hum.v1.validate_pb2.")
    )


def comments(image: Path) -> bytes:
    """Our own files as a FileDescriptorSet that keeps its comments: what the OpenAPI document quotes."""
    everything = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())
    own = descriptor_pb2.FileDescriptorSet(file=[file for file in everything.file if file.name.startswith("hum/")])
    for file in own.file:
        commented = [at for at in file.source_code_info.location if at.leading_comments]
        del file.source_code_info.location[:]
        for at in commented:
            file.source_code_info.location.add(path=at.path, leading_comments=at.leading_comments)
    return own.SerializeToString(deterministic=True)


def fresh() -> bool:
    """Tell whether hum/v1 holds exactly what proto/ generates."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        made = {path.name for path in Path(scratch).iterdir()}
        stands = {path.name for path in TARGET.iterdir() if path.suffix in {".py", ".pyi", ".binpb"}}
        _, different, unreadable = filecmp.cmpfiles(scratch, TARGET, sorted(made & stands), shallow=False)
        stale = sorted((made ^ stands) | set(different) | set(unreadable))
    for name in stale:
        print(f"hum/v1/{name} is not what proto/ says; run `make proto`")
    return not stale


def breaking() -> int:
    """Buf's verdict on proto/ against what was released; both as images, because proto/ is two modules."""
    with tempfile.TemporaryDirectory() as scratch:
        image = Path(scratch, "image.binpb")
        subprocess.run([BIN / "buf", "build", ROOT, "-o", image], check=True, cwd=ROOT)
        command = [BIN / "buf", "breaking", image, "--against", RELEASED, "--config", BREAKING]
        return subprocess.run(command, check=False, cwd=ROOT).returncode


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=("write", "check", "breaking", "release"))
    match arguments.parse_args().what:
        case "check":
            return 0 if fresh() else 1
        case "breaking":
            return breaking()
        case "release":
            return subprocess.run([BIN / "buf", "build", ROOT, "-o", RELEASED], check=False, cwd=ROOT).returncode
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    generate(TARGET)
    return 0


if __name__ == "__main__":
    sys.exit(main())
