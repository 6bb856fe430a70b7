"""examples/digits.yaml: the example's program and its job in one file, so that one `kubectl apply` does.

`python -m edgelab.demo.example` writes it anew from examples/digits.py.
"""

import textwrap

from edgelab.demo.install import EXAMPLE

HEAD = """\
# Train on scikit-learn's scanned digits, on all edge nodes there are.
# main.py is examples/digits.py: change it there, then run `make crds`.
apiVersion: v1
kind: ConfigMap
metadata:
  name: digits
data:
  main.py: |
"""
JOB = """\
---
apiVersion: edgetrain.io/v1alpha1
kind: EdgeTrainingJob
metadata:
  name: digits
spec:
  program:
    source: {configMap: {name: digits}}
  nodes: {min: 2}
  storage:
    checkpoint: {claim: {size: 256Mi}}
    model: {claim: {size: 64Mi}}
  strategy: {checkpointEverySeconds: 10}
"""


def render() -> str:
    """The file."""
    program = EXAMPLE.with_suffix(".py").read_text()
    return HEAD + textwrap.indent(program, " " * 4) + JOB


if __name__ == "__main__":
    EXAMPLE.write_text(render())
