"""JSON Schemas of the pydantic models, as OpenAPI and AsyncAPI show them."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

Mode = Literal["validation", "serialization"]
Schema = dict[str, Any]
Key = tuple[type[BaseModel], Mode]

_TEMPLATE = "#/components/schemas/{model}"


class _Generator(GenerateJsonSchema):
    """Pydantic's, with three differences.

    No titles made up from field names. What we write leaves an unknown value out: an optional field is absent, never
    null. And a later version may write members that are not known yet.
    """

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        found = super().model_schema(schema)
        if self.mode == "serialization":
            found.pop("additionalProperties", None)
        return found

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is not None:
            return super().default_schema(schema)
        inner = schema["schema"]
        if self.mode == "serialization" and inner["type"] == "nullable":
            inner = inner["schema"]
        return self.generate_inner(inner)


def schemas(models: Sequence[Key]) -> tuple[dict[Key, Schema], Schema]:
    """A reference for each model, and the definitions that they lead to, for `components/schemas`."""
    references, document = models_json_schema(models, schema_generator=_Generator, ref_template=_TEMPLATE)
    return {(model, mode): references[model, mode] for model, mode in models}, document.get("$defs", {})


def properties(model: type[BaseModel]) -> tuple[dict[str, Schema], frozenset[str], Schema]:
    """A model's fields as sent, each with its schema; which are required; and the definitions that they lead to."""
    schema = model.model_json_schema(schema_generator=_Generator, ref_template=_TEMPLATE)
    return schema.get("properties", {}), frozenset(schema.get("required", ())), schema.get("$defs", {})
