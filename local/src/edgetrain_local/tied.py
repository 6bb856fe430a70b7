"""Runs a command that ends with its parent: `python -m edgetrain_local.tied COMMAND...`.

A program under a supervisor sees that it is gone only where it looks at its link, and some never do.
"""

import os
import sys

from edgetrain_local.processes import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    os.execvp(sys.argv[1], sys.argv[1:])
