//go:build tools

// Package prometheus pins what the lab builds; it is never compiled itself.
package prometheus

import (
	_ "github.com/prometheus/prometheus/cmd/prometheus"
	_ "github.com/prometheus/prometheus/cmd/promtool"
)
