"""Who may dial a job's workers, as the chart's values `jobs.networkPolicy` have it."""

from typing import Any

from pydantic import Field

from edgetrain_protocol import names
from edgetrain_protocol.base import Document

Peers = tuple[dict[str, Any], ...]
"""As in a NetworkPolicy."""


class Scrapers(Document):
    from_: Peers = Field((), alias="from")
    """Anybody where empty."""


class NetworkPolicy(Document):
    """Defaults are the chart's."""

    enabled: bool = True
    from_: Peers = Field((), alias="from")
    """Who may dial workers beside those of the same job: where these come by a tunnel or under another's
    address, its ends."""
    metrics: Scrapers = Field(default_factory=Scrapers)
    """Who may scrape them."""

    def spec(self, job_uid: str) -> dict[str, Any]:
        """Of the job's NetworkPolicy. Gloo listens on any port: whoever is of the job may dial them all.
        What workers dial is left alone: programs fetch their data from anywhere. Pods that were made without
        the label are let in, and stay as open as they were."""
        of_the_job = {names.JOB_UID_LABEL: job_uid}
        scraped: dict[str, Any] = {"ports": [{"port": names.PROFILER_PORT, "protocol": "TCP"}]}
        if self.metrics.from_:
            scraped["from"] = list(self.metrics.from_)
        return {
            "podSelector": {"matchLabels": {**of_the_job, **names.NETWORK_POLICY_LABELS}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": of_the_job}}, *self.from_]}, scraped],
        }
