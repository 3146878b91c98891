"""Folders on disk: files written whole, chunks shared by processes, locks."""
