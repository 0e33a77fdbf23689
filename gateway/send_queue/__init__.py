"""The line of each instance: what is accepted leaves once, in order, at a human pace.

    enqueue  ->  coordinator  ->  worker  ------------------------------>  outcome
    a row,       one worker       claim -> pace -> start -> send           one statement: the row's
    its wake     per connected    (claim.py, pacing.py, start.py,          new state, history and
                 session          then the session)                        callback

Many lines share one statement: `batching` gathers what they ask at once. `schedule` lets due
messages join their line and looks for lines everybody forgot; `rescue` settles what a dead
process left on its way; `operations` answers /queue.
"""
