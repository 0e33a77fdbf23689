"""The chats, contacts, tags and notes of an instance, gathered from its messages and events.

messages --trigger--> chats (unread, last message)      contacts <-- senders, saved contacts
                        |                                   |
            GET /chats, /chats/{phone}, /groups     GET /contacts, /contacts/{phone}
"""
