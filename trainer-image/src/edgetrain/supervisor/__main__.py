"""python -m edgetrain.supervisor -- COMMAND...: what the trainer container runs."""

import sys

from edgetrain.sigterm import end_on_sigterm

if __name__ == "__main__":
    end_on_sigterm()
    from edgetrain.ciphers import prefer_what_is_fast

    # Before anything loads OpenSSL.
    prefer_what_is_fast()
    from edgetrain.supervisor.main import main

    sys.exit(main(sys.argv[1:]))
