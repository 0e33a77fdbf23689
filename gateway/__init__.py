"""A self-hosted WhatsApp gateway that speaks Z-API's HTTP contract.

A message that a caller sends:

    api -> operations -> send_queue -> sessions -> provider -> WhatsApp
           or kafka

An event that WhatsApp sends, and the callbacks that follow an outcome:

    WhatsApp -> provider -> sessions.inbound -> webhooks -> receiver, /events or kafka

The packages, each importing only from lines below its own (`pyproject.toml` has the contracts):

    cli                                     the command line
    runtime                                 builds and starts every part
    api, providers, kafka                   the edges: HTTP, WhatsApp, Kafka
    operations                              the services that edges share
    administration                          accounts, import, audit, erasure, deletion
    directory                               chats, contacts, tags and notes
    send_queue                              the queue of each instance
    sessions                                leases, live sessions, inbound events
    webhooks                                callbacks and their delivery
    instances, media, history, identities   what is stored of an instance
    database, embedded_postgres             access to Postgres; a server for development
    parsing                                 JSON of others, parsed within bounds
    documents                               OpenAPI and the Postman collection
    contract                                routes, messages and callbacks; no input or output
    periodic_loop, observability, settings  loops, logs and metrics, environment variables
    environment, errors, clock, ...         small modules without dependencies
"""

__version__ = "0.2.0"
