"""What an arm practises, and how: targets, training rows, their ids and weights, the trainer."""
