// Prometheus and promtool, in a module of their own. It is tidy for the build tags in edgelab.programs.pinned alone,
// which leave out what discovers services elsewhere than in Kubernetes.
module edgetrain.io/lab/prometheus

go 1.26.0

require github.com/prometheus/prometheus v0.311.3
