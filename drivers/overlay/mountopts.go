package overlay

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

// mountOptions are the options of a mount, sorted by who takes them.
type mountOptions struct {
	// flags are those of mount(2) that concern what may be done in the mount.
	flags uintptr
	// propagation is the one propagation type of mount(2).
	propagation uintptr
	// data are the options of overlay itself, as key or key=value.
	data []string
}

// change is what an option does to the flags.
type change struct{ clear, set uintptr }

// flagChanges has the options of mount(8) that stand for flags.
func flagChanges() map[string]change {
	const atime = unix.MS_NOATIME | unix.MS_RELATIME | unix.MS_STRICTATIME
	return map[string]change{
		"defaults": {}, "rw": {clear: unix.MS_RDONLY}, "ro": {set: unix.MS_RDONLY},
		"suid": {clear: unix.MS_NOSUID}, "nosuid": {set: unix.MS_NOSUID},
		"dev": {clear: unix.MS_NODEV}, "nodev": {set: unix.MS_NODEV},
		"exec": {clear: unix.MS_NOEXEC}, "noexec": {set: unix.MS_NOEXEC},
		"async": {clear: unix.MS_SYNCHRONOUS}, "sync": {set: unix.MS_SYNCHRONOUS},
		"dirsync": {set: unix.MS_DIRSYNC},
		"nomand":  {clear: unix.MS_MANDLOCK}, "mand": {set: unix.MS_MANDLOCK},
		"atime": {clear: unix.MS_NOATIME}, "noatime": {clear: atime, set: unix.MS_NOATIME},
		"diratime": {clear: unix.MS_NODIRATIME}, "nodiratime": {set: unix.MS_NODIRATIME},
		"norelatime": {clear: unix.MS_RELATIME}, "relatime": {clear: atime, set: unix.MS_RELATIME},
		"nostrictatime": {clear: unix.MS_STRICTATIME}, "strictatime": {clear: atime, set: unix.MS_STRICTATIME},
	}
}

// propagations has the options for how mounts below this one spread.
func propagations() map[string]uintptr {
	return map[string]uintptr{
		"private": unix.MS_PRIVATE, "rprivate": unix.MS_PRIVATE | unix.MS_REC,
		"shared": unix.MS_SHARED, "rshared": unix.MS_SHARED | unix.MS_REC,
		"slave": unix.MS_SLAVE, "rslave": unix.MS_SLAVE | unix.MS_REC,
		"unbindable": unix.MS_UNBINDABLE, "runbindable": unix.MS_UNBINDABLE | unix.MS_REC,
	}
}

// ours are options that the driver decides on: where the layers are, and what
// their attributes are called.
func ours() []string {
	return []string{"lowerdir", "lowerdir+", "datadir+", "upperdir", "workdir", "userxattr"}
}

// parseMountOptions reads a list of mount options separated by commas; within
// double quotes a comma does not separate. The later of two options that
// contradict each other counts. The error matches model.ErrInvalid.
func parseMountOptions(list string) (mountOptions, error) {
	parsed := mountOptions{propagation: unix.MS_PRIVATE}
	flags, spreads := flagChanges(), propagations()
	for _, option := range splitOptions(list) {
		key, _, _ := strings.Cut(option, "=")
		flag, isFlag := flags[option]
		spread, isSpread := spreads[option]
		switch {
		case isFlag:
			parsed.flags = parsed.flags&^flag.clear | flag.set
		case isSpread:
			parsed.propagation = spread
		case option == "remount" || option == "bind" || option == "rbind" || slices.Contains(ours(), key):
			return mountOptions{}, fmt.Errorf("mount option %q is not for the layers of a store: %w", option, model.ErrInvalid)
		case key == "" || strings.ContainsRune(option, 0):
			return mountOptions{}, fmt.Errorf("mount option %q: %w", option, model.ErrInvalid)
		default:
			parsed.data = append(parsed.data, option)
		}
	}
	return parsed, nil
}

// splitOptions splits list at the commas that are not quoted. Empty options
// are left out, and so are the quotes around a value.
func splitOptions(list string) []string {
	inQuotes := false
	split := strings.FieldsFunc(list, func(r rune) bool {
		if r == '"' {
			inQuotes = !inQuotes
		}
		return r == ',' && !inQuotes
	})
	options := make([]string, 0, len(split))
	for _, option := range split {
		option = strings.TrimSpace(option)
		if key, value, found := strings.Cut(option, `="`); found {
			option = key + "=" + strings.TrimSuffix(value, `"`)
		}
		if option != "" {
			options = append(options, option)
		}
	}
	return options
}

// readOnly tells whether the options ask for a read-only mount.
func (m *mountOptions) readOnly() bool { return m.flags&unix.MS_RDONLY != 0 }

// clone returns a copy that can be changed.
func (m *mountOptions) clone() mountOptions {
	c := *m
	c.data = slices.Clone(m.data)
	return c
}

// drop removes an option of overlay.
func (m *mountOptions) drop(option string) {
	m.data = slices.DeleteFunc(m.data, func(o string) bool { return o == option })
}

// has tells whether there is an option of overlay with a key.
func (m *mountOptions) has(key string) bool {
	return slices.ContainsFunc(m.data, func(o string) bool { return strings.HasPrefix(o, key+"=") })
}

// dropKey removes an option of overlay whatever its value is.
func (m *mountOptions) dropKey(key string) {
	m.data = slices.DeleteFunc(m.data, func(o string) bool { return strings.HasPrefix(o, key+"=") })
}

// add adds an option of overlay, unless it is there.
func (m *mountOptions) add(option string) {
	if !slices.Contains(m.data, option) {
		m.data = append(m.data, option)
	}
}
