package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/csdb/csdb/model"
)

// maxFileSize is the largest file that is read, in bytes.
const maxFileSize = 1 << 20

// file is a file that has been read.
type file struct {
	path     string
	values   map[Key]Setting
	unknown  []Setting
	warnings []string
}

// readFile reads a file. The error names all lines that are wrong, and matches
// model.ErrInvalid if there is one.
func readFile(path string) (*file, error) {
	content, err := readContent(path)
	if err != nil {
		return nil, err
	}
	return newFile(path, content)
}

func readContent(path string) (content []byte, err error) {
	opened, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	content, err = io.ReadAll(io.LimitReader(opened, maxFileSize+1))
	if err == nil && len(content) > maxFileSize {
		err = fmt.Errorf("it is %w: a configuration has no more than %d bytes", model.ErrInvalid, maxFileSize)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return content, nil
}

// newFile makes out what the content of a file says.
func newFile(path string, content []byte) (*file, error) {
	all, err := parse(path, content)
	if err != nil {
		return nil, err
	}
	f := &file{path: path, values: make(map[Key]Setting)}
	var faults []error
	for _, s := range all {
		known, ok := ruleOf(s.Key)
		if !ok {
			f.unknown = append(f.unknown, s)
			f.warnings = append(f.warnings, fmt.Sprintf("%s: unknown key %s", s.Source, s.Key))
			continue
		}
		if s, err = known.kind.check(s); err != nil {
			faults = append(faults, err)
			continue
		}
		f.values[s.Key] = s
	}
	f.renameDriver()
	return f, errors.Join(faults...)
}

// renameDriver replaces the old name of the driver overlay.
func (f *file) renameDriver() {
	if s := f.values[Driver]; s.Value == "overlay2" {
		s.Value = "overlay"
		f.values[Driver] = s
		f.warnings = append(f.warnings, fmt.Sprintf("%s: overlay2 is an old name of the driver overlay", s.Source))
	}
}

// find reads the file that counts for everybody, or the user's own one, or both.
// Either is nil if it does not exist. What $CONTAINERS_STORAGE_CONF names takes
// the place of all others, and has to exist.
func (h Host) find() (system, own *file, err error) {
	if path, set := h.LookupEnv("CONTAINERS_STORAGE_CONF"); set {
		if own, err = readFile(path); err != nil {
			err = fmt.Errorf("$CONTAINERS_STORAGE_CONF: %w", err)
		}
		return nil, own, err
	}
	for _, path := range h.SystemFiles {
		if system, err = readIfThere(path); system != nil || err != nil {
			break
		}
	}
	if err != nil || (system != nil && h.user() == 0) {
		return system, nil, err
	}
	if dir, ok := h.ownDir(); ok {
		own, err = readIfThere(filepath.Join(dir, fileName))
	}
	return system, own, err
}

// ownDir returns the user's directory of configuration files. That of root
// counts only if he says so.
func (h Host) ownDir() (string, bool) {
	if h.user() == 0 {
		return h.dir("XDG_CONFIG_HOME")
	}
	dir, err := h.home("XDG_CONFIG_HOME", ".config")
	return dir, err == nil
}

// readIfThere reads a file, and returns nil if it does not exist.
func readIfThere(path string) (*file, error) {
	f, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // A file that is not there is none.
	}
	return f, err
}
