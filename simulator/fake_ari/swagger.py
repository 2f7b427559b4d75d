"""The documents under `api-docs`, made from the table of operations and the shapes of what is sent.

Clients such as `ari-client` for Node.js read them at connect and make their methods of them, so they cannot be left
out. The form is Swagger 1.1, as Asterisk serves it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from simulator.fake_ari.rest import Operation, Parameter, Table
from simulator.fake_ari.shapes import EVENT_FIELDS, EVENTS, MODELS, Shape

API_VERSION: Final = "10.0.0"
SWAGGER: Final = "1.1"
RESOURCES: Final = "resources"


def documents(tables: Sequence[Table], base: str) -> dict[str, dict[str, Any]]:
    """All documents by name: `resources`, and one a resource. `base` is the address of ARI."""
    listed = [
        {"path": f"/api-docs/{table.resource}.{{format}}", "description": table.about} for table in tables
    ]
    made = {RESOURCES: _head(base) | {"apis": listed}}
    for table in tables:
        made[table.resource] = _head(base) | {
            "resourcePath": f"/api-docs/{table.resource}.{{format}}",
            "apis": _apis(table),
            "models": _event_models() if table.resource == "events" else _models(MODELS),
        }
    return made


def _head(base: str) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "swaggerVersion": SWAGGER, "basePath": base}


def _apis(table: Table) -> list[dict[str, Any]]:
    by_path: dict[str, list[dict[str, Any]]] = {}
    for operation in table.operations:
        by_path.setdefault(operation.path, []).append(_operation(operation))
    return [
        {"path": path, "description": operations[0]["summary"], "operations": operations}
        for path, operations in by_path.items()
    ]


def _operation(operation: Operation) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "httpMethod": operation.method,
        "summary": operation.about,
        "nickname": operation.nickname,
        "responseClass": operation.returns,
        "parameters": [_parameter(each) for each in operation.parameters],
        "errorResponses": [{"code": code, "reason": why} for code, why in operation.errors.items()],
    }
    return shown | ({"upgrade": "websocket", "websocketProtocol": "ari"} if operation.websocket else {})


def _parameter(parameter: Parameter) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": parameter.name,
        "description": parameter.about,
        "paramType": parameter.kind,
        "required": parameter.required,
        "allowMultiple": parameter.multiple,
        "dataType": parameter.type,
    }
    if parameter.default is not None:
        shown["defaultValue"] = parameter.default
    if parameter.allowed:
        shown["allowableValues"] = {"valueType": "LIST", "values": list(parameter.allowed)}
    return shown


def _event_models() -> dict[str, Any]:
    events = {name: Shape(shape.about, {**EVENT_FIELDS, **shape.fields}) for name, shape in EVENTS.items()}
    message = {"Message": Shape("Anything that comes by the websocket.", {"type": "string"})}
    return _models(message | events | dict(MODELS))


def _models(shapes: Mapping[str, Shape]) -> dict[str, Any]:
    return {
        name: {
            "id": name,
            "description": shape.about,
            "properties": {
                field.removesuffix("?"): {"type": kind, "required": not field.endswith("?")}
                for field, kind in shape.fields.items()
            },
        }
        for name, shape in shapes.items()
    }
