"""JSON as people read it."""

import orjson


def json_text(value: object) -> str:
    """Returns a value as indented JSON; a page shows it as text."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
