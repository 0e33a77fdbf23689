"""The HTTP edge: turns requests into declared messages and operations, and results into JSON.

app.py             assembles the application
routes.py          finds the declared class by method and path
authentication.py  finds the instance or account of a request, and checks its tokens and address
request_body.py    reads the JSON of a request
body_spooling.py   writes the files in a JSON body to disk while the body arrives
endpoints.py       accepts a message, or executes an operation
error_replies.py   renders every GatewayError as status and JSON
"""
