//go:build tools

// Package helm pins what the lab builds; it is never compiled itself.
package helm

import _ "helm.sh/helm/v4/cmd/helm"
