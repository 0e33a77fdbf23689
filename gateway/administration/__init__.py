"""Making, listing, subscribing and deleting instances.

partner.py        answers to an account's owner
subscriptions.py  answers about one instance's subscription
removal.py        ends an instance for good
"""
