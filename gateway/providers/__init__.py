"""The providers: one folder for each way to reach WhatsApp.

The module `provider` of a folder has one object, `provider`, that fits the port
`gateway.sessions.provider.Provider`. Nothing lists the folders; `loading` finds them.

The `__init__` of this package and of each folder import nothing. A child process of a provider
imports them when it starts, and pays for what they import.
"""
