"""Routes of an account that name the instance by its id or its name. An extension.

Served only with `GATEWAY_NAMED_API=true`, else they answer 404. Each passes on to a route of the
instance, with the same limits. Names are not unique: one that several instances have is answered
409 with their ids. An error has `"success": false` beside `error` and `message`.
"""
