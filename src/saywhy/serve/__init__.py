"""Explained decisions over HTTP: a service, its page, its log."""
