"""Administration of accounts and instances.

partner.py        handlers of the partner routes, which make, list and delete instances
listing.py        reads lists of instances
admin_service.py  the same and more for the operator's command line
importing.py      reads the instance list of a Z-API account
subscriptions.py  handlers of an instance's subscription
removal.py        deletes an instance and its rows
people.py         handlers that erase a person, and of consent
audit.py          the log of administrative acts
account_traffic.py, traffic_recorder.py  what instances sent and received, in sums for charts
"""
