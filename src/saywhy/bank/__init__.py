"""A bank: a run or study without anyone's text, and the check that it leaks none of its texts."""
