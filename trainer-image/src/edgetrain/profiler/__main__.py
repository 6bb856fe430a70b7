"""`python -m edgetrain.profiler`: what the profiler's container runs."""

from edgetrain.profiler.trainer_first import give_head_start, importing_gently
from edgetrain.rundir import run_dir_of
from edgetrain.sigterm import end_on_sigterm

if __name__ == "__main__":
    end_on_sigterm()
    give_head_start(run_dir_of())
    with importing_gently():
        from edgetrain.profiler.main import main

    main()
