"""The HTTP edge: a request becomes a declared command, an answer becomes Z-API's JSON.

routes.py         finds the declared class by method and path
caller.py         instance id, tokens and address become an Instance, or an error
request_body.py   path, query and JSON become the declared model, or one clear sentence
endpoints.py      accepts a message, or answers an operation
error_replies.py  every GatewayError as status and JSON
"""
