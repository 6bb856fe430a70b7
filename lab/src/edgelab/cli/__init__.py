"""The command `edgelab`, a thin face of `edgelab.lab.Lab`."""
