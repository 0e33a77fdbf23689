"""The two names of a person on WhatsApp: a phone number, and a lid that hides it."""
