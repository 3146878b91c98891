"""A bank: a run or study without anyone's text, and whether it tells of its texts."""
