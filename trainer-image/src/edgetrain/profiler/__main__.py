"""`python -m edgetrain.profiler`: what the profiler's container runs."""

from edgetrain.sigterm import end_on_sigterm

if __name__ == "__main__":
    end_on_sigterm()
    from edgetrain.profiler.main import main

    main()
