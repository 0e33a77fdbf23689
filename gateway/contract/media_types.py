"""Reads the Accept header of a request."""


def accepted_types(accept: str) -> dict[str, float]:
    """The media types of an Accept header, each with its weight."""
    weights = {}
    for part in accept.lower().split(","):
        kind, *parameters = (each.strip() for each in part.split(";"))
        given = [each.removeprefix("q=") for each in parameters if each.startswith("q=")]
        weights[kind] = _weight(given[0]) if given else 1.0
    return weights


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
