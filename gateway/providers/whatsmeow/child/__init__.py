"""The child process: the only code that shares a process with the Go library, which may abort it.

    engine --commands over a socket--> __main__ --> verbs --> client --> neonize --> WhatsApp
           <--events, each acknowledged-- link <----callbacks of Go------'

It imports nothing else of the gateway, because each child process would pay for it.
"""
