"""HTTP requests to servers of others: file servers and receivers of callbacks.

response_parser.py  a C parser reads the answer, within bounds that are counted while it reads
connection.py       one HTTP/1.1 connection, and the exchange of a request and its answer
dialer.py           resolves a name once, checks its addresses, connects
content_coding.py   decompresses content in bounded pieces
trust.py            which certificates are trusted
slots.py            bounds the requests in flight per account and per host, and waits fairly
failures.py         what can go wrong

No cookie, proxy of the environment or login is used, and no redirect is followed here.
"""
