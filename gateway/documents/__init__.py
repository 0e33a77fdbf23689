"""What the OpenAPI document and the Postman collection are rendered from.

surface.py           every route of the contract, and the texts of its class
json_schemas.py      the fields and answers of the declared classes as JSON Schema
error_answers.py     the failures a caller may meet
postman_request.py   one request of the collection
postman_scripts.py   what the collection checks, and what it remembers
"""
