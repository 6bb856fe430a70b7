"""What a process has that has just loaded torch, whatever others of ours have loaded or chosen."""

import os
import subprocess
import sys


def test_a_program_that_was_told_fewer_threads_keeps_to_them() -> None:
    """Torch reads the variable when it is loaded."""
    program = "import torch, edgetrain; edgetrain.join(); print(torch.get_num_threads())"
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "1"


def test_room_is_made_without_torchs_compiler() -> None:
    """To import it takes a newcomer seconds."""
    program = """if True:
        import sys
        import torch
        from edgetrain.engine.transfer.pieces import Arriving
        turned = torch.empty_like(torch.zeros(3, 4).t(), device="meta")
        (made,) = Arriving([turned]).whole()
        assert made.stride() == (1, 4) and made.dtype == torch.float32, made.stride()
        assert "sympy" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", program], check=True)
