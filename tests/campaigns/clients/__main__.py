"""`python -m tests.campaigns.clients` runs every program: see `calling`."""

import asyncio
import sys

from tests.campaigns.clients.calling import run

sys.exit(1 if asyncio.run(run()) else 0)
