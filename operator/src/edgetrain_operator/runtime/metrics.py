"""The operator's own numbers. No job's name is a label: series must not grow with jobs; what concerns
one job is in its status."""

from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from edgetrain_operator.core.actions import Action

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
REFUSALS = (
    "PodsRefused",
    "DeletionRefused",
    "PlanRefused",
    "PlanTooLarge",
    "CARefused",
    "NetworkPolicyRefused",
    "WorkloadRefused",
    "ApiServerUnavailable",
)
RESULTS = ("ok", "conflict", "error")
BACKFILL_RESULTS = ("written", "refused", "dropped")


class Metrics:
    """All series of bounded label values exist from the start, at 0."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.queue_depth = Gauge(
            "edgetrain_operator_queue_depth", "Jobs that are due and wait for a reconcile.", registry=registry
        )
        self.queue_age = Gauge(
            "edgetrain_operator_queue_oldest_seconds",
            "How long the oldest of them has waited.",
            registry=registry,
        )
        self.reconciles = Counter(
            "edgetrain_operator_reconciles_total", "Reconciles by result.", ["result"], registry=registry
        )
        self.reconcile_seconds = Histogram(
            "edgetrain_operator_reconcile_seconds",
            "Duration of a reconcile.",
            buckets=BUCKETS,
            registry=registry,
        )
        self.api_calls = Counter(
            "edgetrain_operator_api_calls_total",
            "Requests to the Kubernetes API.",
            ["verb", "resource", "outcome"],
            registry=registry,
        )
        self.api_seconds = Histogram(
            "edgetrain_operator_api_call_seconds",
            "Duration of a request to the Kubernetes API, also of one that failed.",
            ["verb"],
            buckets=BUCKETS,
            registry=registry,
        )
        self.actions = Counter(
            "edgetrain_operator_actions_total", "What was done for jobs.", ["action"], registry=registry
        )
        self.refusals = Counter(
            "edgetrain_operator_refusals_total",
            "What the API server did not take, by the reason that the job's status gives.",
            ["reason"],
            registry=registry,
        )
        self.elections = Counter(
            "edgetrain_operator_elections_total", "Elections that changed an aggregator.", registry=registry
        )
        self.plans = Counter(
            "edgetrain_operator_plan_revisions_total", "Plan revisions written.", registry=registry
        )
        self.stalls = Counter(
            "edgetrain_operator_stall_steps_total",
            "Times that something was done because nobody trained although workers were heard.",
            registry=registry,
        )
        self.generations = Counter(
            "edgetrain_operator_generations_total",
            "Generations of groups begun because a majority was lost.",
            registry=registry,
        )
        self.left_out = Counter(
            "edgetrain_operator_nodes_left_out_total",
            "Nodes left out of a job because its program failed too often on them.",
            registry=registry,
        )
        self.backfill_reports = Counter(
            "edgetrain_operator_backfill_reports_total",
            "Late reports by what became of them.",
            ["result"],
            registry=registry,
        )
        self.backfill_waiting = Gauge(
            "edgetrain_operator_backfill_waiting", "Late reports that wait to be written.", registry=registry
        )
        self.jobs = Gauge(
            "edgetrain_operator_jobs", "Jobs that this operator looks after.", registry=registry
        )
        self.jobs_queued = Gauge(
            "edgetrain_operator_jobs_queued",
            "Those of them that have fewer nodes of their queue than spec.nodes.min.",
            registry=registry,
        )
        self.nodes = Gauge("edgetrain_operator_nodes", "Edge nodes known.", registry=registry)
        self.leader = Gauge("edgetrain_operator_leader", "1 while this replica leads.", registry=registry)
        for result in RESULTS:
            self.reconciles.labels(result)
        for action in get_args(Action):
            self.actions.labels(action.__name__)
        for reason in REFUSALS:
            self.refusals.labels(reason)
        for result in BACKFILL_RESULTS:
            self.backfill_reports.labels(result)

    def api_call(self, verb: str, resource: str, outcome: str, seconds: float) -> None:
        """An observer for `Kube`."""
        self.api_calls.labels(verb, resource, outcome).inc()
        self.api_seconds.labels(verb).observe(seconds)
