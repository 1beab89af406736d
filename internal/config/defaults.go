package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// fill sees that a path is known, and says what variables in it stand for.
func (c *Config) fill(key Key, fallback func() (string, error)) {
	if !isZero(c.values[key].Value) {
		c.resolve(key)
		return
	}
	value, err := fallback()
	c.Set(key, value, Source{})
	if err != nil {
		c.fail(key, fmt.Errorf("%s: %w", key, err))
	}
}

// resolve replaces the variables and symbolic links in a path.
func (c *Config) resolve(key Key) {
	s := c.Get(key)
	value, err := c.host.expand(c.Text(key))
	c.Set(key, value, s.Source)
	if err != nil {
		c.fail(key, s.wrap(err))
	}
}

// fail notes that a path cannot be told.
func (c *Config) fail(key Key, err error) {
	s := c.Get(key)
	c.Set(key, "", s.Source)
	c.faults[key] = err
}

// fillFromRootlessPath takes the graph root from the path for users other than
// root, that of the user's file or of that for everybody.
func (c *Config) fillFromRootlessPath(system *file) {
	s := c.values[RootlessStoragePath]
	if isZero(s.Value) && system != nil {
		s = system.values[RootlessStoragePath]
	}
	if isZero(c.values[GraphRoot].Value) && !isZero(s.Value) {
		c.Set(GraphRoot, s.Value, s.Source)
	}
}

func (c *Config) defaultGraphRoot() (string, error) {
	if c.host.user() == 0 {
		return builtIn(GraphRoot), nil
	}
	dir, err := c.host.home("XDG_DATA_HOME", ".local/share")
	return filepath.Join(dir, "containers/storage"), err
}

func (c *Config) defaultRunRoot() (string, error) {
	if c.host.user() == 0 {
		return builtIn(RunRoot), nil
	}
	dir, err := c.host.runtimeDir()
	return filepath.Join(dir, "containers"), err
}

// MakeRuntimeDir makes the directory that the run root is in, if that is one
// below the directory for temporary files, because others could make it there
// too and wait for what comes. It is for those who are about to write. The error
// matches model.ErrInvalid if somebody else has made it.
func (c *Config) MakeRuntimeDir() error {
	dir := c.host.tempRuntimeDir()
	if run := c.Get(RunRoot); run.Source != (Source{}) || run.Value != filepath.Join(dir, "containers") {
		return nil
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: %w", RunRoot, err)
	}
	return c.host.checkPrivate(dir)
}

// builtIn returns where the directories of root's store are if nothing says so.
func builtIn(key Key) string {
	r, _ := ruleOf(key)
	value, _ := r.fallback.(string)
	return value
}

// fillRest gives the other keys that have one their default.
func (c *Config) fillRest() {
	for _, r := range rules {
		if _, has := c.values[r.key]; !has && r.fallback != nil {
			c.Set(r.key, r.fallback, Source{})
		}
	}
}

// DefaultPaths returns where the directories of root's store are where neither
// a file nor a variable says it.
func DefaultPaths() (graphRoot, runRoot string) { return builtIn(GraphRoot), builtIn(RunRoot) }
