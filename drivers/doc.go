// Package drivers defines what a graph driver is: the part of a store that
// keeps the contents of layers and turns a layer and its ancestors into a file
// system.
//
// # Using drivers
//
// A Registry lists the drivers that a program knows; drivers/builtin has the
// one of this project. Registry.Open chooses a driver and opens it. Apply,
// Diff, Changes, DiffSize and OpenContent work on the layers of any driver and
// take the shortest way that it offers.
//
//	driver, err := builtin.Registry().Open(ctx, drivers.Spec{Root: root, RunRoot: runRoot})
//	…
//	err = driver.Create(ctx, "base", "", drivers.CreateOptions{})
//	_, err = drivers.Apply(ctx, driver, "base", tar.NewReader(diff), archive.UnpackOptions{})
//	err = driver.Create(ctx, "top", "base", drivers.CreateOptions{Writable: true})
//	path, err := driver.Mount(ctx, "top", drivers.MountOptions{})
//
// A driver finds the ancestors of its layers in the homes of other stores too,
// which it never writes to (Spec.Others). Of two stores each can be such a one
// for the other.
//
// # Writing a driver
//
// A driver is a folder below this one and a line in drivers/builtin. It
// implements Driver; what it can do better than by mounting and walking, it
// says by implementing Applier, DiffDriver, Viewer, ContentDriver,
// MetadataDriver, ParentCopier, CreateChecker, ModeForcer and Replacer too. ParseOptions,
// LayerDirs and Homes do what every driver needs. Run drivertest.Run to see whether it
// keeps the contract.
package drivers
