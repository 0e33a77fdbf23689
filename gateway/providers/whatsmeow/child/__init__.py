"""The only code that shares a process with the Go library, which may abort that process.

    engine --frames over a socket--> __main__ --> verbs --> client --> neonize --> WhatsApp
           <--events, to be acknowledged-- journal <--callbacks of Go--'

It imports nothing else of the gateway: a child is paid for per instance.
"""
