"""Pictures of the dashboards, drawn from what a Prometheus has seen."""
