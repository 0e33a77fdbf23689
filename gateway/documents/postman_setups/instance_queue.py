"""The queue of an instance: what their requests need when the collection runs."""

from collections.abc import Mapping

from gateway.contract.extensions.queue_control import (
    ChangeQueueSettings,
    DeleteFailed,
    MoveToFront,
    ReadQueued,
    ResumeQueue,
    RetryQueued,
)
from gateway.contract.zapi.instance_queue import ClearQueue, RemoveFromQueue, SetQueueSettings
from gateway.documents.postman_setup import PostmanSetup, Precondition

_SCHEDULED_TEXT = Precondition("/send-text", {"scheduledFor": "{{tomorrow}}"})

SETUPS: Mapping[type, PostmanSetup] = {
    ResumeQueue: PostmanSetup(order=1),
    ReadQueued: PostmanSetup(order=1, first=(_SCHEDULED_TEXT,), values={"zaapId": "{{zaapId}}"}),
    RetryQueued: PostmanSetup(order=2, values={"zaapId": "{{zaapId}}"}, or_else=409),
    MoveToFront: PostmanSetup(order=1, first=(_SCHEDULED_TEXT,), values={"zaapId": "{{zaapId}}"}),
    DeleteFailed: PostmanSetup(order=1),
    ChangeQueueSettings: PostmanSetup(
        values={"paceMinSeconds": 0, "paceMaxSeconds": 0, "dailyLimit": 0, "warmUpDays": 0}
    ),
    SetQueueSettings: PostmanSetup(values={"disableEnqueueWhenDisconnected": False}),
    ClearQueue: PostmanSetup(order=2),
    RemoveFromQueue: PostmanSetup(
        order=1,
        first=(Precondition("/send-text", {"scheduledFor": "{{tomorrow}}"}),),
        values={"zaapId": "{{zaapId}}"},
    ),
}
