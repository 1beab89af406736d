package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/csdb/csdb/internal/config"
)

// place is a machine in a directory: files, variables and a user.
type place struct {
	dir       string
	uid       int
	variables map[string]string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	return &place{dir: dir, variables: make(map[string]string)}
}

// path returns a path below the directory.
func (p *place) path(name string) string { return filepath.Join(p.dir, name) }

// write writes a file and returns its path.
func (p *place) write(t *testing.T, name, content string) string {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(p.path(name)), 0o700))
	must(t, os.WriteFile(p.path(name), []byte(content), 0o600))
	return p.path(name)
}

func (p *place) host() config.Host {
	return config.Host{
		LookupEnv: func(name string) (string, bool) {
			value, set := p.variables[name]
			return value, set
		},
		UID:         p.uid,
		SystemFiles: []string{p.path("etc/storage.conf"), p.path("usr/storage.conf")},
		RunDirs:     p.path("users"),
	}
}

// load loads a configuration that has to be right.
func (p *place) load(t *testing.T) *config.Config {
	t.Helper()
	c, err := config.Load(p.host())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// loadText loads a configuration from a file with a text, as root.
func loadText(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	p := newPlace(t)
	p.write(t, "etc/storage.conf", text)
	return config.Load(p.host())
}

// want checks a value and where it is from, for which DIR stands for the
// directory.
func (p *place) want(t *testing.T, c *config.Config, key config.Key, value, source string) {
	t.Helper()
	got := c.Get(key)
	if from := p.shorten(got.Source.String()); c.Text(key) != p.lengthen(value) || from != source {
		t.Errorf("%s is %q from %s, want %q from %s", key, c.Text(key), from, p.lengthen(value), source)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// shorten and lengthen put DIR in place of the directory, and back.
func (p *place) shorten(text string) string { return strings.ReplaceAll(text, p.dir, "DIR") }

func (p *place) lengthen(text string) string { return strings.ReplaceAll(text, "DIR", p.dir) }
