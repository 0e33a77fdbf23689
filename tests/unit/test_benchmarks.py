"""The benchmarks say what the statements they measure want to know."""

import re

from gateway.database.queries import query
from tests.benchmarks.growth import statements


def test_the_statements_of_the_benchmark_of_growth_get_all_their_parameters() -> None:
    for (room, name), given in statements("line", 1, "M", ["M"]).items():
        wanted = set(re.findall(r"%\((\w+)\)s", query(room, name).as_string(None)))
        assert given.keys() >= wanted, name
