"""Webhooks, dead letters and replay: what their requests need when the collection runs."""

from collections.abc import Mapping

from gateway.contract.extensions.dead_letters import (
    DeadLetterOperation,
    DiscardDeadLetter,
    PurgeDeadLetters,
)
from gateway.contract.extensions.replay import FindCallback, TestWebhook
from gateway.contract.extensions.webhooks import AddWebhook, DeleteWebhook, UpdateWebhook
from gateway.contract.zapi.webhooks import SetFilters, SetWebhook
from gateway.documents.postman_setup import PostmanSetup, Precondition

SETUPS: Mapping[type, PostmanSetup] = {
    DeadLetterOperation: PostmanSetup(or_else=404),
    DiscardDeadLetter: PostmanSetup(order=1, or_else=404),
    PurgeDeadLetters: PostmanSetup(order=2),
    FindCallback: PostmanSetup(or_else=404),
    TestWebhook: PostmanSetup(
        order=1,
        first=(Precondition("/update-webhook-received", {"value": "{{baseUrl}}/health"}, "PUT"),),
        values={"type": "ReceivedCallback"},
    ),
    AddWebhook: PostmanSetup(saves={"webhookId": "id"}),
    UpdateWebhook: PostmanSetup(order=1, values={"webhookId": "{{webhookId}}"}),
    DeleteWebhook: PostmanSetup(order=2, values={"webhookId": "{{webhookId}}"}),
    SetFilters: PostmanSetup(values={"messageFilters": [], "callbackTypeFilters": []}),
    SetWebhook: PostmanSetup(
        order=2,  # after the test of a webhook, whose address must not stay
        values={"value": "{{webhookUrl}}"},  # empty, until the user fills it in
    ),
}
