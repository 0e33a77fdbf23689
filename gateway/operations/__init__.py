"""What every edge works with: the services of a ready gateway.

It stands below the edges, so that the HTTP API and another edge use the same services.
"""
