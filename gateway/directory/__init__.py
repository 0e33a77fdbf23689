"""What an instance knows: chats and contacts, kept from what passes through, labels and notes.

messages --trigger--> chats (unread, last message)      contacts <-- who wrote, who was saved
                        |                                   |
            GET /chats, /chats/{phone}, /groups     GET /contacts, /contacts/{phone}
"""
