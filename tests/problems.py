"""What a problem that the user can mend looks like: one line."""

import errno
import os

import pytest

from saywhy.folders import store
from saywhy.records import SaywhyError


def fails(call, *args, **kwargs):
    """Return the one line that a call ends in."""
    with pytest.raises(SaywhyError) as caught:
        call(*args, **kwargs)
    line = str(caught.value)
    assert "\n" not in line
    return line


def fill_disk(monkeypatch, after):
    """Let the disk be full after so many files; return a function that frees it."""
    real, written = os.fsync, []

    def fsync(handle):
        written.append(handle)
        if len(written) > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(store.os, "fsync", fsync)
    return lambda: monkeypatch.setattr(store.os, "fsync", real)
