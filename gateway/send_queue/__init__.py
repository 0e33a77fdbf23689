"""The send queue: each instance's messages leave once, in order, with human pauses between them.

    admission   checks a message; what is refused here never reaches the queue
    enqueue     writes the message as a row and wakes the worker of its instance
    coordinator runs one worker for each connected session of this node
    worker      takes one message after another through these steps:
      claim       takes the head of the queue under the worker's epoch
      pacing      computes the pause before the message
      start       commits that the attempt begins
      (session)   the provider sends the message
      outcome     decides what the attempt led to
      recorder    writes that outcome, its history and its callbacks in one statement

Beside that path: `rescue` decides what happens to messages that a dead worker left in flight.
`schedule` moves due messages into their queue and wakes workers that missed a wake-up.
`maintenance` expires and archives messages. `completion` waits for outcomes on behalf of callers.
`operations`, `control` and `message_actions` answer the routes about queued messages.

Workers and requests share statements: `gateway.batching` collects what they submit at one time.
"""
