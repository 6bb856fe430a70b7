//go:build tools

// Package kubernetes pins what the tests build; it is never compiled itself.
package kubernetes

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
)
