//go:build tools

// Package kubeedge pins what the lab builds; it is never compiled itself.
package kubeedge

import (
	_ "github.com/kubeedge/kubeedge/cloud/cmd/cloudcore"
	_ "github.com/kubeedge/kubeedge/edge/cmd/edgecore"
)
