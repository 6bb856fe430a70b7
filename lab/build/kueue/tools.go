//go:build tools

// Package kueue pins what the lab builds; it is never compiled itself.
package kueue

import _ "sigs.k8s.io/kueue/cmd/kueue"
