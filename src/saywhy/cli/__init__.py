"""The command line: one function a verb, and what the verbs print and export."""
