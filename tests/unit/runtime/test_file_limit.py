"""A process may open as many files as the system allows, and leaves some to other parts."""

import subprocess
import sys

import pytest

from gateway.runtime.file_limit import connections_within

RAISED = """
import resource
from gateway.runtime.file_limit import raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
print(raise_file_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_raise_file_limit_raises_the_soft_limit_to_the_hard_one() -> None:
    printed = subprocess.check_output([sys.executable, "-c", RAISED], text=True)

    raised, soft, hard = map(int, printed.split())
    assert raised == soft
    assert soft == min(hard, 1_048_576) > 256


@pytest.mark.parametrize(
    ("file_limit", "connections"),
    [(1_048_576, 10_000), (4_096, 3_072), (1_024, 768), (256, 128), (1, 1)],
)
def test_connections_within_leaves_files_to_other_parts(file_limit: int, connections: int) -> None:
    assert connections_within(file_limit, 10_000) == connections
