"""OpenAI's description of its API, as a judge of answers.

The description is data of OpenAI's (MIT) and not part of this repository. It is looked for at the
path in the environment variable SENSORIUM_OPENAPI and at `../shared/openai/openapi.json`, seen from
the repository. Where it contradicts itself or what OpenAI's own service sends, `DEFECTS` mends it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry
from referencing.jsonschema import DRAFT202012

VARIABLE = "SENSORIUM_OPENAPI"
ROOT = Path(__file__).resolve().parents[2]
_NAME = "openai"


@dataclass(frozen=True)
class Defect:
    """A place in the description that is wrong: what to put there, and why."""

    pointer: str
    value: Any
    reason: str


DEFECTS: tuple[Defect, ...] = (
    Defect(
        "/components/schemas/CreateChatCompletionStreamResponse/properties/choices/items"
        "/properties/finish_reason/enum",
        ["stop", "length", "tool_calls", "content_filter", "function_call", None],
        "its type allows null, which all chunks but the last have; its list of values forgot it",
    ),
    Defect(
        "/components/schemas/CreateCompletionResponse/properties/choices/items"
        "/properties/finish_reason",
        {"enum": ["stop", "length", "content_filter", None]},
        "chunks of a stream share this schema, and all but the last have null",
    ),
    Defect(
        "/components/schemas/Embedding/properties/embedding/type",
        ["array", "string"],
        "with `encoding_format: base64` it is a string",
    ),
    Defect(
        "/paths/~1audio~1translations/post/responses/200/content/application~1json/schema",
        {"$ref": f"{_NAME}#/components/schemas/CreateTranslationResponseJson"},
        "`oneOf` of two schemas that every verbose answer fits both of",
    ),
)


def find_description() -> Path | None:
    """Where the description is, or None."""
    given = os.environ.get(VARIABLE)
    path = Path(given) if given else ROOT.parent / "shared" / "openai" / "openapi.json"
    return path if path.is_file() else None


class Description:
    """Validators for the schemas of the description."""

    def __init__(self, content: dict[str, Any], defects: tuple[Defect, ...] = DEFECTS) -> None:
        self.content = content
        for defect in defects:
            _put(content, defect)
        resource = DRAFT202012.create_resource(content)
        self._registry: Registry[Any] = Registry().with_resource(_NAME, resource)

    def faults(self, schema: str, value: object) -> str | None:
        """How `value` breaks `#/components/schemas/<schema>`, or None when it fits."""
        return self._faults({"$ref": f"{_NAME}#/components/schemas/{schema}"}, value)

    def faults_of_answer(self, path: str, value: object) -> str | None:
        """How a successful JSON answer of POST `path` breaks its schema."""
        place = path.replace("/", "~1")
        pointer = f"/paths/{place}/post/responses/200/content/application~1json/schema"
        return self._faults({"$ref": f"{_NAME}#{pointer}"}, value)

    def faults_of_event(self, schema: str, event: dict[str, Any]) -> str | None:
        """How an event breaks the member of the union `schema` that has its `type`."""
        schemas = self.content["components"]["schemas"]
        for member in schemas[schema]["anyOf"]:
            name = member["$ref"].rpartition("/")[2]
            if event.get("type") in schemas[name]["properties"]["type"].get("enum", ()):
                return self.faults(name, event)
        return f"{schema} has no event of type {event.get('type')!r}"

    def _faults(self, schema: dict[str, str], value: object) -> str | None:
        validator = Draft202012Validator(schema, registry=self._registry)
        # Within a choice of schemas the plain message is only "not valid under any".
        worst = best_match(validator.iter_errors(value))
        return None if worst is None else "; ".join(_shown(error) for error in _inner(worst))


def load_description(path: Path) -> Description:
    """Read and mend the description."""
    return Description(json.loads(path.read_text("utf-8")))


def _inner(error: ValidationError) -> Iterator[ValidationError]:
    yield error
    if error.parent is not None:
        yield from _inner(error.parent)


def _shown(error: ValidationError) -> str:
    return f"{error.json_path}: {error.message[:300]}"


def _put(content: Any, defect: Defect) -> None:
    *parents, last = [
        step.replace("~1", "/").replace("~0", "~") for step in defect.pointer.split("/")[1:]
    ]
    for step in parents:
        content = content[int(step) if isinstance(content, list) else step]
    if content.get(last) == defect.value:
        raise ValueError(f"{defect.pointer} is as it should be; drop it from the list")
    content[last] = defect.value
