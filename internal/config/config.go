package config

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Config is what files, variables and flags say about a store.
type Config struct {
	host Host
	// files are those that have been read.
	files  []string
	values map[Key]Setting
	// passed are those that are not for this user, and unknown those whose
	// key nobody knows.
	passed, unknown []Setting
	// options are what replaces all options of the file, nil if nothing does.
	options  *Setting
	warnings []string
	// faults say why a path is not known.
	faults map[Key]error
}

// Load returns the configuration of the user. The error names the files and
// lines that are wrong; it matches model.ErrInvalid if there are any.
//
// A path that cannot be told is no error yet, because a flag may say it: see
// Path.
func Load(h Host) (*Config, error) {
	system, own, err := h.find()
	if err != nil {
		return nil, err
	}
	c := newConfig(h)
	perUser := h.user() != 0
	switch {
	case own != nil && system != nil:
		c.pass(system)
		c.take(own)
	case own != nil:
		c.take(own)
	case system != nil && perUser:
		c.inherit(system)
	case system != nil:
		c.take(system)
	}
	c.readEnvironment()
	c.fill(RunRoot, c.defaultRunRoot)
	if perUser {
		c.fillFromRootlessPath(system)
	}
	c.fill(GraphRoot, c.defaultGraphRoot)
	c.fillRest()
	return c, nil
}

// WithoutFiles returns what variables say, and reads no file. It has no paths.
func WithoutFiles(h Host) *Config {
	c := newConfig(h)
	c.readEnvironment()
	c.fillRest()
	return c
}

// ReadFile returns what one file says, with what the environment replaces of
// every file. Nothing else is filled in. Errors are as those of Load.
func ReadFile(h Host, path string) (*Config, error) {
	f, err := readFile(path)
	if err != nil {
		return nil, err
	}
	c := newConfig(h)
	c.take(f)
	c.readEnvironment()
	for _, key := range []Key{GraphRoot, RunRoot} {
		if !isZero(c.values[key].Value) {
			c.resolve(key)
		}
	}
	return c, nil
}

func newConfig(h Host) *Config {
	return &Config{host: h, values: make(map[Key]Setting), faults: make(map[Key]error)}
}

// take takes everything that a file says.
func (c *Config) take(f *file) {
	c.files = append(c.files, f.path)
	maps.Copy(c.values, f.values)
	c.unknown = append(c.unknown, f.unknown...)
	c.warnings = append(c.warnings, f.warnings...)
}

// pass takes nothing of what a file says, but remembers it.
func (c *Config) pass(f *file) {
	c.files = append(c.files, f.path)
	c.passed = append(c.passed, slices.Collect(maps.Values(f.values))...)
	c.unknown = append(c.unknown, f.unknown...)
}

// inherit takes of the file for everybody what is for other users than root.
func (c *Config) inherit(f *file) {
	c.pass(f)
	c.passed = slices.DeleteFunc(c.passed, func(s Setting) bool {
		if !isInherited(s) {
			return false
		}
		c.values[s.Key] = s
		return true
	})
	c.warnings = append(c.warnings, f.warnings...)
}

// isInherited tells whether a value of the file for everybody is for other
// users than root too. What drivers are told for root's store is mostly
// nothing for theirs.
func isInherited(s Setting) bool {
	switch _, name, _ := s.Key.option(); {
	case s.Key == Driver:
		return s.Value == "overlay" || s.Value == "vfs" || s.Value == "btrfs"
	case s.Key == DriverPriority, s.Key == RootlessStoragePath, s.Key == PullOptions:
		return true
	default:
		return name == "ignore_chown_errors"
	}
}

// readEnvironment takes what variables say in place of files.
func (c *Config) readEnvironment() {
	if name, _ := c.host.LookupEnv("STORAGE_DRIVER"); name != "" {
		c.Set(Driver, name, Source{Variable: "STORAGE_DRIVER"})
	}
	if words, set := c.host.LookupEnv("STORAGE_OPTS"); set {
		options := slices.DeleteFunc(strings.Split(words, ","), func(word string) bool { return word == "" })
		c.SetOptions(options, Source{Variable: "STORAGE_OPTS"})
	}
}

// Set replaces a value, by that of a flag for instance.
func (c *Config) Set(key Key, value any, source Source) {
	c.values[key] = Setting{Key: key, Value: value, Source: source}
	delete(c.faults, key)
}

// SetOptions replaces all options of drivers, in the form key=value.
func (c *Config) SetOptions(options []string, source Source) {
	c.options = &Setting{Key: "storage.options", Value: options, Source: source}
}

// Files returns the paths of the files that have been read.
func (c *Config) Files() []string { return slices.Clone(c.files) }

// Get returns a value and where it is from. The value is the zero value of its
// type, or nil, if nothing says what it is.
func (c *Config) Get(key Key) Setting {
	s := c.values[key]
	s.Key = key
	return s
}

// Text returns a value that is a text, "" if nothing says what it is.
func (c *Config) Text(key Key) string {
	value, _ := c.values[key].Value.(string)
	return value
}

// List returns a value that is a list of texts.
func (c *Config) List(key Key) []string {
	value, _ := c.values[key].Value.([]string)
	return slices.Clone(value)
}

// Bool returns a value that is true or false; false if nothing says it.
func (c *Config) Bool(key Key) bool {
	value, _ := c.values[key].Value.(bool)
	return value
}

// Number returns a value that is a number, 0 if nothing says what it is.
func (c *Config) Number(key Key) int64 {
	value, _ := c.values[key].Value.(int64)
	return value
}

// Path returns GraphRoot or RunRoot. The error says why it cannot be told, and
// matches model.ErrInvalid.
func (c *Config) Path(key Key) (string, error) { return c.Text(key), c.faults[key] }

// Settings returns all values in a fixed order, those that nobody knows last.
func (c *Config) Settings() []Setting {
	order := make(map[Key]int, len(rules))
	for i, r := range rules {
		order[r.key] = i
	}
	all := slices.Concat(slices.Collect(maps.Values(c.values)), c.passed)
	slices.SortFunc(all, func(a, b Setting) int {
		return cmp.Or(cmp.Compare(order[a.Key], order[b.Key]), cmp.Compare(a.Source.String(), b.Source.String()))
	})
	if c.options != nil {
		all = append(all, *c.options)
	}
	return append(all, c.unknown...)
}
