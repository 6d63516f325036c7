"""The gateway walks whatever `make proto` wrote: a new file with a service needs no line in the gateway."""

from pathlib import Path

import pytest
from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2, descriptor_pool

from gateway import contract, openapi
from hum import v1
from hum.contract import authorization
from hum.contract.services import services
from hum.json.values import Unsupported
from hum.v1 import options_pb2
from tests.hum.everything import KIND, add, file


def throwaway(noun: str, path: str, *, body: str = "", field: str = "string") -> descriptor_pb2.FileDescriptorProto:
    made = file(f"hum/v1/{noun.lower()}.proto", v1.__name__)
    made.dependency.append(annotations_pb2.DESCRIPTOR.name)
    request = made.message_type.add(name=f"Get{noun}Request")
    add(request, "id", field)
    answer = made.message_type.add(name=f"Get{noun}Response")
    add(answer, "weights", "double").label = KIND.LABEL_REPEATED
    method = made.service.add(name=f"{noun}Service").method.add(
        name=f"Get{noun}", input_type=f".{v1.__name__}.{request.name}", output_type=f".{v1.__name__}.{answer.name}"
    )
    rule = http_pb2.HttpRule(post=path, body=body) if body else http_pb2.HttpRule(get=path)
    method.options.Extensions[annotations_pb2.http].CopyFrom(rule)
    method.options.Extensions[options_pb2.access].role = options_pb2.ROLE_VIEWER
    return made


def test_a_new_proto_file_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = throwaway("Gadget", "/api/gadgets/{id}")
    (tmp_path / "gadget_pb2.py").write_text(
        "from google.protobuf import descriptor_pool\n"
        f"DESCRIPTOR = descriptor_pool.Default().AddSerializedFile({made.SerializeToString()!r})\n"
    )
    before = {each.name for each in services()}
    monkeypatch.setattr(v1, "__path__", [*v1.__path__, str(tmp_path)])
    assert {each.name for each in services()} == before | {"GadgetService"}
    bindings = contract.bindings()
    assert [each.rpc for each in bindings if each.path == "/api/gadgets/{id}"] == ["/hum.v1.GadgetService/GetGadget"]
    document = openapi.document(bindings, "https://hum.example")
    weights = document["components"]["schemas"]["GetGadget"]["properties"]["weights"]
    assert weights == {"type": "array", "items": {"type": ["number", "null"], "format": "double"}}
    assert "GadgetService.GetGadget" in authorization.page()


def test_no_module_of_the_gateway_names_a_feature() -> None:
    nouns = {path.stem for path in Path("proto/hum/v1").glob("*.proto")} - {"options", "runtime"}
    assert {"calls", "flows"} <= nouns
    generic = [
        Path("gateway", f"{name}.py")
        for name in ("contract", "app", "transcode", "openapi", "contractsections", "schemas", "sse", "errors")
    ]
    for module in generic:
        assert not [noun for noun in nouns if f"{noun}_pb2" in module.read_text()], module


def test_a_path_that_is_no_text_is_refused_by_name() -> None:
    made = throwaway("Widget", "/api/widgets/{id}", field="int32")
    descriptor_pool.Default().Add(made)
    service = descriptor_pool.Default().FindServiceByName("hum.v1.WidgetService")
    with pytest.raises(Unsupported, match=r"hum\.v1\.GetWidgetRequest\.id is not a string, which /api/widgets/\{id\}"):
        contract.bindings([service])
