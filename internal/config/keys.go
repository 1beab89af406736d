package config

import "slices"

// rule is what there is to know about a key.
type rule struct {
	key    Key
	kind   kind
	status Status
	// fallback is the default where nothing depends on the user.
	fallback any
	// driver says that the option is passed to the driver.
	driver bool
	// asks tells whether a value of an unsupported key asks for anything; nil
	// means that everything but the zero value does.
	asks func(value any) bool
}

// rules are in the order in which values are shown, and options passed on.
var rules = []rule{
	{key: Driver, kind: kindText, status: Used, fallback: ""},
	{key: DriverPriority, kind: kindList, status: Used},
	{key: GraphRoot, kind: kindPath, status: Used, fallback: "/var/lib/containers/storage"},
	{key: RunRoot, kind: kindPath, status: Used, fallback: "/run/containers/storage"},
	{key: RootlessStoragePath, kind: kindPath, status: Used},
	{key: ImageStore, kind: kindPath, status: Used},
	{key: TransientStore, kind: kindBool, status: Used, fallback: false},

	{key: prefix + "additionalimagestores", kind: kindList, status: Used},
	{key: prefix + "additionallayerstores", kind: kindList, status: Unsupported},
	{key: prefix + "size", kind: kindSize, status: Used, driver: true},
	{key: prefix + "mount_program", kind: kindText, status: Used, driver: true},
	{key: prefix + "mountopt", kind: kindText, status: Used, driver: true},
	{key: prefix + "skip_mount_home", kind: kindTextBool, status: Used, driver: true},
	{key: prefix + "ignore_chown_errors", kind: kindTextBool, status: Used, driver: true},
	{key: prefix + "force_mask", kind: kindNumber, status: Used, driver: true},
	{key: prefix + "overlay.ignore_chown_errors", kind: kindTextBool, status: Used, driver: true},
	{key: prefix + "overlay.mountopt", kind: kindText, status: Used, driver: true},
	{key: prefix + "overlay.mount_program", kind: kindText, status: Used, driver: true},
	{key: prefix + "overlay.size", kind: kindSize, status: Used, driver: true},
	{key: prefix + "overlay.inodes", kind: kindTextNumber, status: Used, driver: true},
	{key: prefix + "overlay.skip_mount_home", kind: kindTextBool, status: Used, driver: true},
	{key: prefix + "overlay.use_composefs", kind: kindTextBool, status: Unsupported, driver: true, asks: isOn},
	{key: prefix + "overlay.force_mask", kind: kindMask, status: Used, driver: true},
	{key: prefix + "vfs.ignore_chown_errors", kind: kindTextBool, status: Used, driver: true},

	// Drivers that are not there cannot be chosen, so their options need not
	// be understood.
	{key: prefix + "btrfs.min_space", kind: kindSize, status: Ignored},
	{key: prefix + "btrfs.size", kind: kindSize, status: Ignored},
	{key: prefix + "zfs.fsname", kind: kindText, status: Ignored},
	{key: prefix + "zfs.mountopt", kind: kindText, status: Ignored},
	{key: prefix + "zfs.size", kind: kindSize, status: Ignored},
	{key: prefix + "aufs.mountopt", kind: kindText, status: Ignored},
	{key: prefix + "thinpool", kind: kindAnyTable, status: Ignored},

	// These two have no effect in containers/storage either.
	{key: prefix + "imagestore", kind: kindText, status: Ignored},
	{key: prefix + "use_composefs", kind: kindText, status: Ignored},

	// How to do what has to be asked for elsewhere, and is refused there.
	{key: AutoUsernsUser, kind: kindText, status: Ignored},
	{key: AutoUsernsMinSize, kind: kindNumber, status: Ignored},
	{key: AutoUsernsMaxSize, kind: kindNumber, status: Ignored},
	// How a client pulls. Pulls that are not partial are slower, not different.
	// One command of containers-storage wants them to be allowed.
	{key: PullOptions, kind: kindTexts, status: Ignored},

	{key: DisableVolatile, kind: kindBool, status: Used, fallback: false},

	{key: "storage", kind: kindTable},
	{key: "storage.options", kind: kindTable},
	{key: prefix + "overlay", kind: kindTable},
	{key: prefix + "vfs", kind: kindTable},
	{key: prefix + "btrfs", kind: kindTable},
	{key: prefix + "zfs", kind: kindTable},
	{key: prefix + "aufs", kind: kindTable},
}

// Keys returns all keys that are known, those of tables too.
func Keys() []Key {
	keys := make([]Key, len(rules))
	for i, r := range rules {
		keys[i] = r.key
	}
	return keys
}

// ruleOf returns what is known about a key.
func ruleOf(key Key) (rule, bool) {
	i := slices.IndexFunc(rules, func(r rule) bool { return r.key == key })
	if i < 0 {
		return rule{}, false
	}
	return rules[i], true
}

// isLeaf tells whether a known key has a value of its own instead of being a
// table of keys.
func isLeaf(key Key) bool {
	r, known := ruleOf(key)
	return known && r.kind.name != kindTable.name
}
