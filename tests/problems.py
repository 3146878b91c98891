"""What a problem that the user can mend looks like: one line."""

import pytest

from saywhy.records import SaywhyError


def fails(call, *args, **kwargs):
    """Return the one line that a call ends in."""
    with pytest.raises(SaywhyError) as caught:
        call(*args, **kwargs)
    line = str(caught.value)
    assert "\n" not in line
    return line
