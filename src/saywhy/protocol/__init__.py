"""The prompts that a model reads, and how its reply is read: sentences, styles, words named in a text."""
