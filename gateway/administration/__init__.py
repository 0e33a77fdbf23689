"""Making, listing, subscribing and deleting instances.

partner.py        answers to an account's owner
listing.py        instances, page by page
office.py         the same and more for the operator, at the command line
subscriptions.py  answers about one instance's subscription
removal.py        ends an instance for good
"""
