"""One decision at a time, with a reason that was rechecked before it is shown."""
