"""Routes that Z-API does not have.

An extension that completes a subject of Z-API has the name of its module, and its tag.
"""
