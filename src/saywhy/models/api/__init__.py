"""Models behind an API that speaks chat completions: what they can be asked, and what is kept of their answers."""
