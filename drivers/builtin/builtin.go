// Package builtin lists the graph drivers of this project.
package builtin

import (
	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/overlay"
	"github.com/csdb/csdb/drivers/vfs"
)

// Registry returns the drivers in the order in which they are tried.
func Registry() drivers.Registry {
	return drivers.Registry{
		{
			Name: overlay.Name, Aliases: []string{"overlay2"},
			Open: overlay.Open, Inspect: overlay.Inspect, FaultKinds: overlay.FaultKinds,
		},
		{
			Name: vfs.Name, LastResort: true,
			Open: vfs.Open, Inspect: vfs.Inspect, FaultKinds: vfs.FaultKinds,
		},
	}
}
