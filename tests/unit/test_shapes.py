"""What a job passes on to its pods is of Kubernetes' shape when it is read, whoever has stored it."""

from typing import Any

import pytest
from pydantic import ValidationError

from edgetrain_operator.core.quantities import amount
from edgetrain_protocol import shapes
from edgetrain_protocol.job import JobSpec

MOUNT = {"name": "d", "mountPath": "/d"}
MISFITS: list[tuple[shapes.Shape, Any, str]] = [
    (shapes.VOLUME_MOUNT, {"name": "d"}, "lacks mountPath"),
    (shapes.VOLUME_MOUNT, MOUNT | {"mountPath": 5}, "mountPath: has to be of type string"),
    (shapes.VOLUME_MOUNT, MOUNT | {"readOnly": 1}, "readOnly: has to be of type boolean"),
    (shapes.TOLERATION, {"effect": "Never"}, "effect: has to be one of NoSchedule"),
    (shapes.TOLERATION, {"tolerationSeconds": True}, "tolerationSeconds: has to be of type integer"),
    (shapes.RESOURCES, {"limits": []}, "limits: has to be of type object"),
    (shapes.RESOURCES, {"limits": {"cpu": "1.2.3"}}, "limits: cpu: is no quantity"),
    (shapes.RESOURCES, {"limits": {"cpu": None}}, "limits: cpu: is no quantity"),
]
QUANTITIES = ("1", 1, "1.", ".5", "100m", "1.5Gi", "2Ki", "3e3", "1E-2", "7k", "+2")


@pytest.mark.parametrize(("shape", "value", "why"), MISFITS)
def test_what_is_of_another_shape_says_where(shape: shapes.Shape, value: Any, why: str) -> None:
    assert next(shapes.misfits(value, shape)).startswith(why)


def test_what_kubernetes_takes_is_of_its_shape() -> None:
    volume = {"name": "d", "hostPath": {"path": "/d", "type": "Directory"}}
    assert not [*shapes.misfits(MOUNT, shapes.VOLUME_MOUNT), *shapes.misfits(volume, shapes.VOLUME)]


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_a_quantity_that_is_let_in_can_be_compared(quantity: str | int) -> None:
    assert not list(shapes.misfits({"limits": {"cpu": quantity}}, shapes.RESOURCES))
    assert amount(quantity) > 0


def test_a_job_of_another_shape_cannot_be_read() -> None:
    container = {"name": "trainer", "volumeMounts": [{"name": "d"}]}
    with pytest.raises(ValidationError, match="lacks mountPath"):
        JobSpec.model_validate({"template": {"spec": {"containers": [container]}}})
