"""How far a verdict moves: other questions, other batches, other requests."""
