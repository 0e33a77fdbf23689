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
audit_entries.py  reads that log in pages, and as lines of CSV or JSON
account_overview.py  handlers of an account at a glance
findings.py       what needs attention, each with its cure
system.py         what an operator sees of nodes, database, accounts and users
person_data.py    handlers that show what is stored of a person, and how far erasures are
person_eraser.py  erases a person for the command line
"""
