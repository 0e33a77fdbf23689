"""A Postgres server that the gateway starts itself, where no DATABASE_URL is set.

server.py        starts the server, starts it again when it ends, and shuts it down
postmaster.py    reads who runs on a cluster, and where it answers
cluster_site.py  decides where the cluster lives, and which system user runs it
"""
