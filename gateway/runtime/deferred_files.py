"""Builds the parts for files that a node keeps while the bucket fails."""

import os
from collections.abc import Sequence

from gateway.runtime.node_context import NodeContext
from gateway.runtime.supervisor import Stage
from gateway.sessions.deferred_relay import DeferredFileCaller, DeferredFileServer
from gateway.sessions.relay import relay_client

_SILENCE_SECONDS = 30.0


def deferred_file_caller(secrets: Sequence[str]) -> DeferredFileCaller:
    """Returns what reads files that other nodes keep; *secrets* has the current one first."""
    return DeferredFileCaller(
        relay_client(timeout_seconds=_SILENCE_SECONDS), os.urandom, secrets[0]
    )


def start_deferred_files(node: NodeContext) -> DeferredFileServer | None:
    """Starts to move deferred files; returns what serves them to other nodes.

    None without a bucket.
    """
    deferred = node.media.deferred
    node.start(Stage.BATCHES, deferred_files=node.media.mover)
    if deferred is None:
        return None
    return DeferredFileServer(
        folder_id=str(deferred.folder_id),
        secrets=node.secrets,
        open_here=deferred.open_here,
        database=node.database,
        metrics=node.metrics,
    )
