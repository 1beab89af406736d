package vfs

import (
	"fmt"
	"maps"
	"slices"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/model"
)

// options are the driver's options.
type options struct {
	// ignoreChownErrors goes on where an owner cannot be set.
	ignoreChownErrors bool
}

// parseOptions reads the driver's options, spelled vfs.KEY or .KEY.
func parseOptions(list []string) (options, error) {
	const ignoreChownErrors = "ignore_chown_errors"
	parsed, err := drivers.ParseOptions(list, Name+".", ".")
	if err != nil {
		return options{}, err
	}
	var opts options
	for _, key := range slices.Sorted(maps.Keys(parsed)) {
		switch key {
		case ignoreChownErrors:
			opts.ignoreChownErrors, err = drivers.ParseBool(key, parsed[key])
		case "imagestore", "additionalimagestore":
			err = fmt.Errorf("option %q: %w by this version", key, model.ErrUnsupported)
		default:
			err = drivers.UnknownOption(Name, key, []string{ignoreChownErrors})
		}
		if err != nil {
			return options{}, err
		}
	}
	return opts, nil
}
