"""The two names WhatsApp has for a person: a phone number, and a lid that hides it."""
