"""Images of several architectures under one name, as real container runtimes take them from a registry."""

import json
import tarfile
from collections.abc import Iterator

import pytest

from edgelab.archive import Layer
from edgelab.config import usual_images
from edgelab.images import ARCHIVE, TRAINER_IMAGE, USER
from edgelab.lab import Lab
from edgelab.network import NETNS_DIRECTORY
from tests.support.pods import Json, apply
from tests.support.registry import FOREIGN, OURS, Built, publish, serving
from tests.support.small_jobs import job, program, says

pytestmark = pytest.mark.lab

NODE = "edge-1"
ELF_MACHINES = {"amd64": 0x3E, "arm64": 0xB7}
HERE = {"selector": {"matchLabels": {"kubernetes.io/hostname": NODE}}}


@pytest.fixture(scope="module")
def registry(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """On the node: `both` is a list for two architectures, `other` one for the other alone, `mislabelled`
    says that it is for the node's and is not."""
    directory = tmp_path_factory.mktemp("registry")
    foreign = Built({"User": str(USER), "Env": ["PATH=/bin"]}, foreign_programs())
    if usual_images() == "thin":
        publish(directory, "both", "1", {FOREIGN: foreign, OURS: thin_trainer(lab)})
    publish(directory, "other", "1", {FOREIGN: foreign})
    publish(directory, "mislabelled", "1", {OURS: foreign})
    with serving(directory, NETNS_DIRECTORY / lab.netns(NODE)) as address:
        yield address


def foreign_programs() -> bytes:
    """A layer whose python is for the other architecture, as far as the kernel looks."""
    layer = Layer()
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + (2).to_bytes(2, "little")
    layer.file("/bin/python", head + ELF_MACHINES[FOREIGN].to_bytes(2, "little") + bytes(44), mode=0o755)
    for place in ("/proc", "/sys", "/dev", "/run", "/var", "/tmp"):
        layer.directory(place)
    return layer.finish()


def thin_trainer(lab: Lab) -> Built:
    """The trainer's image as the lab's nodes import it."""
    with tarfile.open(lab.files.images / ARCHIVE) as archive:

        def read(name: str) -> bytes:
            found = archive.extractfile(name)
            assert found
            return found.read()

        listed = json.loads(read("manifest.json"))
        (image,) = [i for i in listed if i["RepoTags"] == [f"docker.io/{TRAINER_IMAGE}"]]
        return Built(json.loads(read(image["Config"]))["config"], read(image["Layers"][0]))


def trains(lab: Lab, namespace: str, name: str) -> None:
    says(lab, namespace, name, "Training", "steps are being committed")


def images_of(lab: Lab, namespace: str, name: str) -> set[str]:
    chosen = ("-l", f"edgetrain.io/job-name={name}", "-o", "json")
    pods: list[Json] = json.loads(lab.kubectl("-n", namespace, "get", "pods", *chosen))["items"]
    return {c["image"] for pod in pods for c in (*pod["spec"]["containers"], *pod["spec"]["initContainers"])}


@pytest.mark.skipif(usual_images() != "thin", reason="a list of the real image is gigabytes in a registry")
def test_a_node_takes_its_own_of_a_list(lab: Lab, operator: str, namespace: str, registry: str) -> None:
    image = f"{registry}/both:1"
    apply(lab, namespace, job("listed", program() | {"image": image}, nodes=HERE))
    trains(lab, namespace, "listed")
    assert images_of(lab, namespace, "listed") == {image}


def test_a_node_without_its_own_is_named_and_an_override_mends_it(
    lab: Lab, operator: str, namespace: str, registry: str
) -> None:
    wanting = program() | {"image": f"{registry}/other:1"}
    apply(lab, namespace, job("wanting", wanting, nodes=HERE))
    words = (NODE, f"{registry}/other:1", f"not built for {OURS}", "spec.overrides")
    says(lab, namespace, "wanting", "NoImageForArchitecture", *words)
    own = {
        "selector": {"matchLabels": {"kubernetes.io/arch": OURS}},
        "image": TRAINER_IMAGE,
        "env": [{"name": "TURN", "value": "mended"}],
        "resources": {"requests": {"memory": "64Mi"}},
    }
    apply(lab, namespace, job("mended", wanting, nodes=HERE, overrides=[own]))
    trains(lab, namespace, "mended")
    assert images_of(lab, namespace, "mended") == {TRAINER_IMAGE}


def test_an_image_that_is_not_what_it_says_is_named_too(
    lab: Lab, operator: str, namespace: str, registry: str
) -> None:
    """The runtime starts it; what the kernel says of it is in the container's log."""
    wrong = program() | {"image": f"{registry}/mislabelled:1"}
    apply(lab, namespace, job("mislabelled", wrong, nodes=HERE))
    words = (NODE, f"not built for {OURS}", "exec format error")
    says(lab, namespace, "mislabelled", "NoImageForArchitecture", *words)
