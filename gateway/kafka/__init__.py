"""Publishes events to Kafka and queues messages from Kafka; needs the extra `kafka`."""
