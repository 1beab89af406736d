package model

import "time"

// Container is the record of a container.
type Container struct {
	ID      ContainerID `cbor:"1,keyasint"`
	Names   []string    `cbor:"2,keyasint,omitempty"`
	Created time.Time   `cbor:"3,keyasint"`
	// Seq numbers the containers of a store in the order of their creation.
	Seq uint64 `cbor:"4,keyasint"`

	// Image is "" for a container without image.
	Image ImageID `cbor:"5,keyasint,omitempty"`
	// Layer is the container's own read-write layer.
	Layer LayerID `cbor:"6,keyasint"`

	Metadata string         `cbor:"7,keyasint,omitempty"`
	Flags    map[string]any `cbor:"8,keyasint,omitempty"`

	// UIDMap and GIDMap are the mappings that the container uses, whether its
	// layer is shifted or not.
	UIDMap []IDMap `cbor:"9,keyasint,omitempty"`
	GIDMap []IDMap `cbor:"10,keyasint,omitempty"`
}

// Keys of the flags that the store itself sets on containers.
const (
	FlagVolatile     = "Volatile"     // bool: writes need not survive a crash of the machine
	FlagMountLabel   = "MountLabel"   // string: SELinux label of mounts
	FlagProcessLabel = "ProcessLabel" // string: SELinux label of processes
	FlagMountOpts    = "MountOpts"    // []string: mount options of the layer
)

// Volatile tells whether the container was created volatile: losing what it
// wrote in a crash of the machine is acceptable.
func (c *Container) Volatile() bool {
	volatile, _ := c.Flags[FlagVolatile].(bool)
	return volatile
}

// MountLabel returns the container's SELinux mount label, or "".
func (c *Container) MountLabel() string {
	label, _ := c.Flags[FlagMountLabel].(string)
	return label
}

// MountOpts returns the mount options that the container was created with.
// A value that has been through an encoder arrives as a list of any.
func (c *Container) MountOpts() []string {
	switch opts := c.Flags[FlagMountOpts].(type) {
	case []string:
		return opts
	case []any:
		var texts []string
		for _, opt := range opts {
			if text, ok := opt.(string); ok {
				texts = append(texts, text)
			}
		}
		return texts
	}
	return nil
}
