package overlay

import (
	"fmt"
	"maps"
	"slices"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/model"
)

// options are the driver's options.
type options struct {
	// mount are mount options for mounts that bring none of their own.
	mount string
	// ignoreChownErrors goes on unpacking where an owner cannot be set.
	ignoreChownErrors bool
	// mountProgram is the path of a program that mounts in place of the kernel,
	// "" for none.
	mountProgram string
	// forceMask is the mode of all files of new layers, nil for that which they
	// should have.
	forceMask *uint32
	// quota is that of writable layers which have no options of their own.
	quota quota
}

// setters has the options that the driver knows. An option whose value makes
// no difference is accepted because configurations in use contain it.
func setters() map[string]func(*options, string) error {
	return map[string]func(*options, string) error{
		"mountopt": func(o *options, value string) error {
			o.mount = value
			if _, err := parseMountOptions(value); err != nil {
				return fmt.Errorf("option %q: %w", "mountopt", err)
			}
			return nil
		},
		"ignore_chown_errors": func(o *options, value string) (err error) {
			o.ignoreChownErrors, err = drivers.ParseBool("ignore_chown_errors", value)
			return err
		},
		// No mount of the home is made that could be skipped.
		"skip_mount_home": func(_ *options, value string) error {
			_, err := drivers.ParseBool("skip_mount_home", value)
			return err
		},
		"force_mask":            (*options).setForceMask,
		"mount_program":         (*options).setMountProgram,
		sizeOption:              func(o *options, value string) error { return o.quota.set(sizeOption, value) },
		inodesOption:            func(o *options, value string) error { return o.quota.set(inodesOption, value) },
		"override_kernel_check": func(*options, string) error { return nil },
	}
}

// missing are options of containers/storage that change what a store does and
// that this driver does not have.
func missing() []string {
	return []string{
		"additionalimagestore", "additionallayerstore", "imagestore",
		"use_composefs",
	}
}

// parseOptions reads the driver's options in all their spellings:
// overlay.KEY, overlay2.KEY, .KEY and KEY.
func parseOptions(list []string) (options, error) {
	parsed, err := drivers.ParseOptions(list, Name+".", Name+"2.", ".", "")
	if err != nil {
		return options{}, err
	}
	var opts options
	known := setters()
	for _, key := range slices.Sorted(maps.Keys(parsed)) {
		set, ok := known[key]
		switch {
		case ok:
			err = set(&opts, parsed[key])
		case slices.Contains(missing(), key):
			err = fmt.Errorf("option %q: %w by this version", key, model.ErrUnsupported)
		default:
			err = drivers.UnknownOption(Name, key, slices.Sorted(maps.Keys(known)))
		}
		if err != nil {
			return options{}, err
		}
	}
	return opts, nil
}
