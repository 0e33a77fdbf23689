"""What Z-API promises its callers: declared once, no input or output here.

A message is queued and sent later; an operation is answered now. Both are declared by a class:

    class SendText(TextMessage, path="/send-text"): ...
    class CountQueue(Operation[QueueCount], method="GET", path="/queue/count"): ...

A class without a path is a family, to which providers attach handlers. Being a subclass is
the registration: `catalogue` imports every module of this package and finds them.
"""
