"""Debezium's configuration names what the log has, and gives it the headers of the relay."""

from pathlib import Path

from models.outbox import LogRow
from models.tables import outbox
from outbox.records import headers

PROPERTIES = Path(__file__).parents[2] / "deploy" / "debezium-outbox.properties"
CONSTANT = {"ce_specversion", "ce_source", "content-type"}  # which the router cannot add


def test_the_router_places_the_columns_as_the_relay_does() -> None:
    lines = [line for line in PROPERTIES.read_text().splitlines() if line and not line.startswith("#")]
    values = dict(line.split("=", 1) for line in lines)
    router = "transforms.outbox"
    placement = values[f"{router}.table.fields.additional.placement"].split(",")
    placed = {header: column for column, kind, header in (each.split(":") for each in placement) if kind == "header"}
    names = ("aggregate_id", "version", "event_id", "event_type", "created_at", "request_id")
    row = LogRow(7, "t", "user", *names, "{}", traceparent="traceparent")
    expected = {name: value.decode() for name, value in headers(row) if name not in CONSTANT}
    assert placed == expected | {"ce_logseq": "seq"}
    columns = {column.name for column in outbox.columns}
    assert set(placed.values()) <= columns
    fields = ("route.by.field", "table.field.event.id", "table.field.event.key", "table.field.event.payload")
    assert [values[f"{router}.{name}"] for name in fields] == ["topic", "event_id", "user_id", "payload"]
