package config

import (
	"errors"
	"fmt"
	"slices"

	"github.com/csdb/csdb/model"
)

// Status says what comes of a setting.
func (c *Config) Status(s Setting) Status {
	r, known := ruleOf(s.Key)
	switch {
	case c.options != nil && s.Key == c.options.Key:
		return Used
	case !known:
		return Unknown
	case r.status == Ignored, !c.isValue(s), c.isOverridden(s):
		return Ignored
	case r.status == Unsupported && r.asksFor(s.Value):
		return Unsupported
	}
	return Used
}

// isValue tells whether a setting is the one of its key that counts.
func (c *Config) isValue(s Setting) bool {
	value, has := c.values[s.Key]
	return has && value.Source == s.Source
}

// asksFor tells whether the value of an unsupported key asks for anything.
func (r rule) asksFor(value any) bool {
	if r.asks != nil {
		return r.asks(value)
	}
	return !isZero(value)
}

// isOverridden tells whether something else counts in place of a setting.
func (c *Config) isOverridden(s Setting) bool {
	switch s.Key {
	case RootlessStoragePath:
		return c.values[GraphRoot].Source != s.Source
	case DriverPriority:
		return c.Text(Driver) != ""
	case DisableVolatile:
		return false
	default:
	}
	table, name, isOption := s.Key.option()
	if !isOption {
		return false
	}
	driver := c.Text(Driver)
	if c.options != nil || (table != "" && table != driver) {
		return true
	}
	// What is said for one driver counts before what is said for all.
	return table == "" && driver != "" && !isZero(c.values[Key(prefix+driver+"."+name)].Value)
}

// DriverOptions returns the options of the driver in effect, in the form
// key=value, and with them those that Check refuses.
func (c *Config) DriverOptions() []string {
	if c.options != nil {
		options, _ := c.options.Value.([]string)
		return append([]string(nil), options...)
	}
	var options []string
	for _, s := range c.Settings() {
		r, _ := ruleOf(s.Key)
		_, name, isOption := s.Key.option()
		if status := c.Status(s); !isOption || isZero(s.Value) || (status != Used && status != Unsupported) {
			continue
		}
		switch value := s.Value.(type) {
		case []string:
			for _, one := range value {
				options = append(options, c.driverOption(storeOptions[name], one))
			}
		case int64:
			options = append(options, c.driverOption(name, fmt.Sprintf("%#o", value)))
		case string:
			if r.driver {
				options = append(options, c.driverOption(name, value))
			}
		}
	}
	return options
}

// storeOptions are the names by which drivers know lists of stores.
var storeOptions = map[string]string{
	"additionalimagestores": "imagestore", "additionallayerstores": "additionallayerstore",
}

func (c *Config) driverOption(name, value string) string {
	return fmt.Sprintf("%s.%s=%s", c.Text(Driver), name, value)
}

// Check reports everything that the configuration asks for and that this
// version cannot do, with file and line. The error matches
// model.ErrUnsupported. A driver that a file or a variable names is looked up by
// canonical, which returns an error for those that are not known.
func (c *Config) Check(canonical func(name string) (string, error)) error {
	var faults []error
	if s := c.Get(Driver); !isZero(s.Value) && s.Source.Flag == "" {
		if _, err := canonical(c.Text(Driver)); err != nil {
			faults = append(faults, s.wrap(err))
		}
	}
	for _, s := range c.Settings() {
		if c.Status(s) == Unsupported {
			faults = append(faults, s.wrap(fmt.Errorf("%w by this version", model.ErrUnsupported)))
		}
	}
	return errors.Join(faults...)
}

// Warnings returns what those who maintain the files should know, one line
// each: keys that nobody knows, old names, and options that have no effect
// because no driver is named, for which nobody would find the reason.
func (c *Config) Warnings() []string {
	warnings := slices.Clone(c.warnings)
	if c.Text(Driver) != "" || c.options != nil {
		return warnings
	}
	for _, s := range c.Settings() {
		r, known := ruleOf(s.Key)
		if table, _, _ := s.Key.option(); known && table != "" && r.status != Ignored && !isZero(s.Value) && c.isValue(s) {
			warnings = append(warnings, fmt.Sprintf("%s: %s has no effect, because no driver is named", s.Source, s.Key))
		}
	}
	return warnings
}
