"""Pods on the lab's nodes: what a person expects of any cluster."""

import os
import signal
import socket
from pathlib import Path

import pytest

from benchmarks.waiting import wait_for
from edgelab.errors import LabError
from edgelab.lab import Lab
from tests.support.pods import Json, apply, get, restricted_pod, wait_running

pytestmark = pytest.mark.lab

SLEEP = "import time; time.sleep(1000)"
SERVE = "import http.server as h; h.HTTPServer(('', 8000), h.SimpleHTTPRequestHandler).serve_forever()"


def test_restricted_pod_has_logs_and_exec(lab: Lab, namespace: str) -> None:
    program = "import os, edgetrain_protocol; print('as', os.getuid(), flush=True); " + SLEEP
    apply(lab, namespace, restricted_pod("p", "edge-1", program))
    pod = wait_running(lab, namespace, "p")

    assert pod["spec"]["nodeName"] == "edge-1"
    assert wait_for(lambda: lab.kubectl("-n", namespace, "logs", "p") == "as 65532\n")
    assert lab.kubectl("-n", namespace, "exec", "p", "--", "hostname") == "p\n"


def test_pod_that_may_do_more_is_refused(lab: Lab, namespace: str) -> None:
    pod = restricted_pod("p", None, SLEEP)
    del pod["spec"]["securityContext"]

    with pytest.raises(LabError, match='violates PodSecurity "restricted'):
        apply(lab, namespace, pod)


def test_containers_cannot_write_what_they_see_of_the_machine(lab: Lab, namespace: str) -> None:
    program = f"import pathlib; pathlib.Path({str(Path(__file__).parent)!r}, 'x').touch()"
    apply(lab, namespace, restricted_pod("p", "edge-1", program))

    # A traceback reaches the log line by line, the reason last.
    assert wait_for(lambda: "Read-only file system" in lab.kubectl("-n", namespace, "logs", "p"))


def test_pod_reaches_the_api_server_through_its_service(lab: Lab, namespace: str) -> None:
    program = (
        "import os, ssl, urllib.request; r = '/var/run/secrets/kubernetes.io/serviceaccount/'; "
        "u = 'https://%(KUBERNETES_SERVICE_HOST)s/version' % os.environ; "
        "c = ssl.create_default_context(cafile=r + 'ca.crt'); "
        "print(urllib.request.urlopen(u, context=c, timeout=20).status)"
    )
    apply(lab, namespace, restricted_pod("p", "edge-1", program))

    assert wait_for(lambda: lab.kubectl("-n", namespace, "logs", "p") == "200\n")


def test_service_is_reached_from_another_node_and_by_node_port(lab: Lab, namespace: str) -> None:
    ports = [{"port": 80, "targetPort": 8000}]
    service = {"type": "NodePort", "selector": {"app": "server"}, "ports": ports}
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": service}
    apply(lab, namespace, restricted_pod("server", "edge-2", SERVE), manifest)
    wait_running(lab, namespace, "server")
    made = get(lab, namespace, "service", "web")["spec"]

    assert wait_for(lambda: _connects(lab.address("edge-1"), made["ports"][0]["nodePort"]))
    reach = f"import urllib.request as u; print(u.urlopen('http://{made['clusterIP']}', timeout=5).status)"
    assert wait_for(lambda: lab.exec_on("edge-1", ["python3", "-c", reach]).stdout == "200\n")
    assert wait_for(lambda: lab.exec_on("edge-2", ["python3", "-c", reach]).stdout == "200\n")


def test_claim_is_served_on_the_pods_node_and_erased_with_it(lab: Lab, namespace: str) -> None:
    write = "open('/data/x', 'w').write('here'); " + SLEEP
    apply(lab, namespace, _claim("data"), restricted_pod("p", "edge-3", write, volumes=_mounted("data")))
    wait_running(lab, namespace, "p")
    directory = lab.node("edge-3").volumes / get(lab, namespace, "pvc", "data")["spec"]["volumeName"]
    assert wait_for(lambda: (directory / "x").exists() and (directory / "x").read_text()) == "here"

    lab.kubectl("-n", namespace, "delete", "pod/p", "pvc/data", "--grace-period=1")
    assert wait_for(lambda: not directory.exists())


def test_process_of_a_container_is_found_and_killed(lab: Lab, namespace: str) -> None:
    apply(lab, namespace, restricted_pod("p", "edge-1", SLEEP))
    wait_running(lab, namespace, "p")

    os.kill(lab.container_pid("edge-1", namespace, "p", "main"), signal.SIGKILL)

    def ended_by() -> int:
        status = get(lab, namespace, "pod", "p")["status"]["containerStatuses"][0]
        last = status["lastState"] if status["restartCount"] else {}
        return int(last.get("terminated", {}).get("exitCode", 0))

    assert wait_for(ended_by) == 128 + signal.SIGKILL


def test_audit_log_tells_who_did_what(lab: Lab, namespace: str) -> None:
    assert wait_for(lambda: f'"name":"{namespace}"' in lab.audit_log.read_text())


def _claim(name: str) -> Json:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def _mounted(claim: str) -> Json:
    return {"/data": {"persistentVolumeClaim": {"claimName": claim}}}


def _connects(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True
