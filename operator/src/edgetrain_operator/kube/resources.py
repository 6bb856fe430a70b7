"""The kinds that the operator touches, and where the API server keeps them."""

from dataclasses import dataclass

from edgetrain_protocol import names


@dataclass(frozen=True)
class Resource:
    kind: str
    api: str
    """Prefix of the path: /api/v1, /apis/GROUP/VERSION."""
    plural: str

    @property
    def api_version(self) -> str:
        return self.api.removeprefix("/apis/").removeprefix("/api/")

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        inside = f"/namespaces/{namespace}" if namespace else ""
        return f"{self.api}{inside}/{self.plural}" + "".join(
            f"/{part}" for part in (name, subresource) if part
        )


JOBS = Resource(names.KIND, f"/apis/{names.GROUP}/{names.VERSION}", names.PLURAL)
RUNTIMES = Resource(names.RUNTIME_KIND, JOBS.api, names.RUNTIME_PLURAL)
PODS = Resource("Pod", "/api/v1", "pods")
NODES = Resource("Node", "/api/v1", "nodes")
SECRETS = Resource("Secret", "/api/v1", "secrets")
CONFIG_MAPS = Resource("ConfigMap", "/api/v1", "configmaps")
CLAIMS = Resource("PersistentVolumeClaim", "/api/v1", "persistentvolumeclaims")
LIMIT_RANGES = Resource("LimitRange", "/api/v1", "limitranges")
EVENTS = Resource("Event", "/api/v1", "events")
LEASES = Resource("Lease", "/apis/coordination.k8s.io/v1", "leases")
NETWORK_POLICIES = Resource("NetworkPolicy", "/apis/networking.k8s.io/v1", "networkpolicies")
PRIORITY_CLASSES = Resource("PriorityClass", "/apis/scheduling.k8s.io/v1", "priorityclasses")
_KUEUE = "/apis/kueue.x-k8s.io/v1beta2"
WORKLOADS = Resource("Workload", _KUEUE, "workloads")
FLAVORS = Resource("ResourceFlavor", _KUEUE, "resourceflavors")
WORKLOAD_PRIORITY_CLASSES = Resource("WorkloadPriorityClass", _KUEUE, "workloadpriorityclasses")

BY_KIND = {r.kind: r for r in (JOBS, PODS, SECRETS, CONFIG_MAPS, CLAIMS, NETWORK_POLICIES, WORKLOADS)}
