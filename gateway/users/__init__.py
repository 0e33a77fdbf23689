"""Users who sign in: their passwords, second factors, sessions, sign-in links and delays."""
