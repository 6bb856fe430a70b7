"""Names that more than one side must agree on: API group, labels, environment, paths, ports."""

from enum import StrEnum

GROUP = "edgetrain.io"
VERSION = "v1alpha1"
KIND = "EdgeTrainingJob"
PLURAL = "edgetrainingjobs"
RUNTIME_KIND = "EdgeTrainingRuntime"
RUNTIME_PLURAL = "edgetrainingruntimes"
MANAGED_BY = f"{GROUP}/operator"

EDGE_NODE_LABEL = "node-role.kubernetes.io/edge"
SITE_LABEL = f"topology.{GROUP}/site"

JOB_UID_LABEL = f"{GROUP}/job-uid"
JOB_NAME_LABEL = f"{GROUP}/job-name"
NODE_HASH_LABEL = f"{GROUP}/node-hash"
COMPONENT_LABEL = f"{GROUP}/component"
ATTEMPT_LABEL = f"{GROUP}/attempt"
NETWORK_POLICY_LABELS = {f"{GROUP}/network-policy": "job"}
"""Of pods for which their job's NetworkPolicy holds."""
NODE_ANNOTATION = f"{GROUP}/node"
AUTONOMY_LABEL = "app-offline.kubeedge.io"
AUTONOMY_VALUE = "autonomy"

TRAINER_CONTAINER = "trainer"
PROFILER_CONTAINER = "profiler"

FLEET_SERVER_NAME = "fleet.edgetrain.io"
"""The one name in the fleet API's certificate: clients verify it whatever address they dial."""

DISK_EXIT_STATUS = 74
"""Of a trainer container that cannot keep its votes, or has lost them: no doing of the program's."""
NEVER_FAILURES = frozenset({137, 143, 255, DISK_EXIT_STATUS})
"""Exit codes of SIGKILL and SIGTERM, of a container lost with its node's power, of a lost or full disk: no
failure of the program."""

IDENTITY_DIR = "/etc/edgetrain/identity"
"""The pod's token and certificate."""
KEYS_DIR = "/etc/edgetrain/keys"
"""A directory for each remote store for which the job names a Secret: program, data, checkpoint, model."""
CA_DIR = "/etc/edgetrain/ca"
CA_FILE = f"{CA_DIR}/ca.crt"
RUN_DIR = "/var/run/edgetrain"
"""Shared by trainer and profiler, gone with the pod: the heartbeat file."""
STATE_DIR = "/var/lib/edgetrain"
"""Votes, the last plan held and unsent reports: survives restarts of the containers."""
HEARTBEAT_FILE = "heartbeat.json"
CHECKPOINT_DIR = "/var/lib/edgetrain-storage/checkpoint"
MODEL_DIR = "/var/lib/edgetrain-storage/model"
DATA_DIR = "/var/lib/edgetrain-storage/data"
PROGRAM_DIR = "/program"
SHARED_MEMORY_DIR = "/dev/shm"
OWN_VOLUMES = (
    *("identity", "ca", "run", "state", "tmp", "shared-memory"),
    *("checkpoint", "model", "data", "program"),
    *("keys-program", "keys-data", "keys-checkpoint", "keys-model"),
)
"""Names of a worker pod's volumes that the operator gives it."""

CONTROL_PORT = 7070
"""A supervisor's control channel."""
TRAINER_METRICS_PORT = 7071
"""The trainer container's /metrics and /healthz, on localhost."""
PROFILER_PORT = 7072
"""The profiler's /metrics."""
METRICS_PORT_NAME = "metrics"
"""The same, by name."""
PROBE_PORT = 7073
"""The profiler's probe and echo server."""
STATE_PORT = 7074
"""Where a member's trainer streams its state to newcomers."""
ROUNDS_PORT = 7075
"""Where a holder of the log of rounds is asked, on workers that have one."""
FLEET_PORT = 8443
OPERATOR_METRICS_PORT = 8080


class Env(StrEnum):
    """The environment of both containers of a worker pod."""

    JOB = "EDGETRAIN_JOB"
    """namespace/name, for people."""
    JOB_UID = "EDGETRAIN_JOB_UID"
    WORKER = "EDGETRAIN_WORKER"
    """The worker's name in plans and reports: the hash of its node's name."""
    NODE = "EDGETRAIN_NODE"
    SITE = "EDGETRAIN_SITE"
    POD = "EDGETRAIN_POD"
    POD_UID = "EDGETRAIN_POD_UID"
    POD_IP = "EDGETRAIN_POD_IP"
    FLEET_ADDRESS = "EDGETRAIN_FLEET_ADDRESS"
    """host:port to dial; the certificate is checked against FLEET_SERVER_NAME."""
    CONTROL_PORT = "EDGETRAIN_CONTROL_PORT"
    PROBE_PORT = "EDGETRAIN_PROBE_PORT"
    STATE_PORT = "EDGETRAIN_STATE_PORT"
    ROUNDS_PORT = "EDGETRAIN_ROUNDS_PORT"
    PROFILER_PORT = "EDGETRAIN_PROFILER_PORT"
    TRAINER_METRICS_PORT = "EDGETRAIN_TRAINER_METRICS_PORT"
    IDENTITY_DIR = "EDGETRAIN_IDENTITY_DIR"
    CA_FILE = "EDGETRAIN_CA_FILE"
    RUN_DIR = "EDGETRAIN_RUN_DIR"
    STATE_DIR = "EDGETRAIN_STATE_DIR"
    CHECKPOINT_DIR = "EDGETRAIN_CHECKPOINT_DIR"
    MODEL_DIR = "EDGETRAIN_MODEL_DIR"
    DATA_DIR = "EDGETRAIN_DATA_DIR"
    PROGRAM_URI = "EDGETRAIN_PROGRAM_URI"
    """This one and those below are set in jobs that name remote stores."""
    PROGRAM_SHA256 = "EDGETRAIN_PROGRAM_SHA256"
    DATA_URI = "EDGETRAIN_DATA_URI"
    DATA_SHA256 = "EDGETRAIN_DATA_SHA256"
    CHECKPOINT_URI = "EDGETRAIN_CHECKPOINT_URI"
    MODEL_URI = "EDGETRAIN_MODEL_URI"
    KEYS = "EDGETRAIN_KEYS"
    """For which of them there is a Secret below KEYS_DIR, with commas between."""
    KEYS_DIR = "EDGETRAIN_KEYS_DIR"
    GRACE_SECONDS = "EDGETRAIN_GRACE_SECONDS"
    """The pod's terminationGracePeriodSeconds."""
    DATA_POLICY = "EDGETRAIN_DATA_POLICY"
    """`local` where each worker's data are its own; unset otherwise."""
    LINK_FD = "EDGETRAIN_LINK_FD"
    """Set by the supervisor for the program it starts: the local link's descriptor. Unset: alone."""


LOG_FILE = "EDGETRAIN_LOG_FILE"
"""Where a supervisor's own log goes, in place of the stream that it shares with its program. This and the
next two are for those who run a worker without a kubelet."""
TERMINATION_LOG = "EDGETRAIN_TERMINATION_LOG"
"""In the place of the kubelet's file for last words."""
PROGRAM_FILES = "EDGETRAIN_PROGRAM_DIR"
"""Where the program's files are, in place of the pod's mount."""
PROGRESS = "EDGETRAIN_PROGRESS"
"""`none`: a program's session prints nothing of how training gets on."""

OWN_PHASES = ("data", "forward", "backward", "apply")
"""Of a step: a worker's own work."""
SHARED_PHASES = ("reduce", "vote", "wait")
"""Spent with or for the others."""
