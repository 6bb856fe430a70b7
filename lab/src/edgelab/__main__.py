"""`python -m edgelab`."""

import sys

from edgelab.cli.main import main

sys.exit(main())
