"""One run: arms of one model on one task, made, audited and kept."""
