"""The HTTP contract: every route, callback and limit, declared once; no input or output here.

zapi/          Z-API's routes
extensions/    routes that Z-API does not have
callbacks/     the bodies posted to webhooks
internal/      operations without a route, which this gateway executes on a session
the rest       the kit with which they are declared

A message is queued and sent later; an operation is answered at once. Both are declared by a class:

    class SendText(TextMessage, path="/send-text"): ...
    class CountQueue(Operation[QueueCount], method="GET", path="/queue/count"): ...

A class without a path is a base class, for which providers register handlers. A subclass needs no
further registration: `catalogue` imports every module of this package and finds it.
"""
