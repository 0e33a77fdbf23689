"""The benchmarks measure each statement once, with parameters that it has."""

import re

from gateway.database.queries import query
from tests.benchmarks.growth_plans import all_steps
from tests.benchmarks.growth_statements import Round


def test_steps_of_growth_name_parameters_that_their_statements_have() -> None:
    titles = [step.title for step in all_steps(Round(["M"]))]
    assert len(set(titles)) == len(titles)
    for step in all_steps(Round(["M"])):
        wanted = set(re.findall(r"%\((\w+)\)s", query(step.file, step.name).as_string(None)))
        assert not step.parameters or step.parameters.keys() & wanted, step.title
