"""By instance name: what their requests need when the collection runs."""

from collections.abc import Mapping

from gateway.contract.extensions.named.route import InstanceInFields, NamedOperation
from gateway.contract.extensions.named.sends import ScheduleNamedMessage, SendChannelMessage
from gateway.contract.extensions.named.sessions import ReadNamedStatus, RecoverNamed
from gateway.documents.postman_setup import PostmanSetup

_OFF = 404  # the operator decides whether these routes are served
_MINE = {"instanceName": "{{instanceId}}"}

SETUPS: Mapping[type, PostmanSetup] = {
    NamedOperation: PostmanSetup(or_else=_OFF),
    InstanceInFields: PostmanSetup(values=_MINE, or_else=_OFF),
    ScheduleNamedMessage: PostmanSetup(
        values={**_MINE, "scheduledFor": "{{tomorrow}}", "scheduleId": "{{$guid}}"}, or_else=_OFF
    ),
    SendChannelMessage: PostmanSetup(values={"channelInstanceId": "{{instanceId}}"}, or_else=_OFF),
    ReadNamedStatus: PostmanSetup(values={"instance": "{{instanceId}}"}, or_else=_OFF),
    RecoverNamed: PostmanSetup(order=100, values=_MINE, or_else=_OFF),
}
