"""Programs that call a gateway with the HTTP clients of other languages: see `calling`."""
