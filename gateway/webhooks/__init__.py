"""Telling the caller: what happened is written down first, and posted until it is taken.

    the change itself --> outbox (tell, in the same transaction) --> delivery --> caller's server
                                                                      |   ^
                                                                      v   | backoff.py
                                                              refused, or no answer

Order is kept for each instance and chat, with one callback on its way at most; different chats
do not wait for each other.
"""
