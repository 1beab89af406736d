package config

import "strings"

// Key is the name of a value: its tables and its own name, separated by points.
type Key string

// Keys that programs ask for by name.
const (
	Driver              Key = "storage.driver"
	DriverPriority      Key = "storage.driver_priority"
	RunRoot             Key = "storage.runroot"
	GraphRoot           Key = "storage.graphroot"
	ImageStore          Key = "storage.imagestore"
	RootlessStoragePath Key = "storage.rootless_storage_path"
	TransientStore      Key = "storage.transient_store"
	AutoUsernsUser      Key = "storage.options.root-auto-userns-user"
	AutoUsernsMinSize   Key = "storage.options.auto-userns-min-size"
	AutoUsernsMaxSize   Key = "storage.options.auto-userns-max-size"
	DisableVolatile     Key = "storage.options.disable-volatile"
	PullOptions         Key = "storage.options.pull_options"
)

// prefix begins the keys of options.
const prefix = "storage.options."

// option returns the driver whose table of options the key is in, "" for the
// table of all drivers, and the option's own name.
func (k Key) option() (driver, name string, ok bool) {
	rest, ok := strings.CutPrefix(string(k), prefix)
	if !ok {
		return "", "", false
	}
	if driver, name, found := strings.Cut(rest, "."); found {
		return driver, name, true
	}
	return "", rest, true
}

// Status says what comes of a value.
type Status string

// What can come of a value.
const (
	// Used values have the effect that they are for.
	Used Status = "used"
	// Ignored values have none, and need have none: they say how to do what
	// is not done, or are for another driver or another user.
	Ignored Status = "ignored"
	// Unsupported values ask for what this version cannot do.
	Unsupported Status = "not supported"
	// Unknown values have a key that this version has not heard of.
	Unknown Status = "unknown"
)
