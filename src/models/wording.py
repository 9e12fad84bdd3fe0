"""What pydantic finds wrong, said to people who send JSON or a file rather than write Python."""

from collections.abc import Iterator

from pydantic import ValidationError

from models.fields import PATTERNS, number


def messages(error: ValidationError) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """Each place that is wrong, and the message for it, without a full stop."""
    for detail in error.errors(include_url=False, include_input=False):
        place, context = detail["loc"], detail.get("ctx", {})
        template = _MESSAGES.get(detail["type"])
        if template is None:
            message = detail["msg"].removeprefix("Value error, ")
        else:
            message = template.format(**{k: number(v) if isinstance(v, float) else v for k, v in context.items()})
        if "discriminator" in context:  # the member that tells which kind of document it is
            place = (*place, context["discriminator"].strip("'"))
        yield place, PATTERNS.get(context.get("pattern", ""), message)


# Other types keep pydantic's own words.
_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not known here",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be an array",
    "string_type": "must be a string",
    "string_sub_type": "must be a string",
    "string_too_short": "must have {min_length} or more characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_long": "must have at most {max_length} items",
    "too_short": "must have {min_length} or more items",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "union_tag_not_found": "is required",
    "union_tag_invalid": "must be one of {expected_tags}",
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID",
    "datetime_type": "must be a moment by RFC 3339, like 2026-01-05T12:00:00Z",
    "datetime_parsing": "must be a moment by RFC 3339, like 2026-01-05T12:00:00Z",
    "datetime_from_date_parsing": "must be a moment by RFC 3339, like 2026-01-05T12:00:00Z",
    "timezone_aware": "must have an offset from UTC, like Z or +01:00",
    "date_type": "must be a date, like 2026-01-05",
    "date_parsing": "must be a date, like 2026-01-05",
    "date_from_datetime_parsing": "must be a date, like 2026-01-05",
    "date_from_datetime_inexact": "must be a date, like 2026-01-05",
}
