"""Dying at a chosen moment, as a kill by the system does; for tests of what goes on afterwards."""

import os
import signal


def die_at(count):
    """From here on this process dies by SIGKILL when the count-th file is about to be flushed or named."""
    left = [count]

    def deadly(call):
        def wrapped(*arguments, **options):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return wrapped

    os.fsync, os.replace = deadly(os.fsync), deadly(os.replace)
