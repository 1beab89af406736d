package drivers

import "context"

// LayerFinder is what an Inspector can be that knows from the home alone which
// layers there are. That is of use only where records are lost: everywhere else
// nothing is concluded from a directory.
type LayerFinder interface {
	// FindLayers calls found for each directory of a layer, in the order of
	// their names, until that returns an error.
	FindLayers(ctx context.Context, found func(FoundLayer) error) error
}

// FoundLayer is the directory of a layer.
type FoundLayer struct {
	// Dir is the driver's name for the layer.
	Dir string
	// Parent is the driver's name for its parent, "" if it has none, or if the
	// driver gives each layer a copy of its parent and does not note which.
	Parent string
	// ParentHome is the home of another store that has the parent, "" if it is
	// in the same home as the layer.
	ParentHome string
	// Problem says why the layer cannot be used as it is, "" if it can.
	Problem string
}
