package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

// Host is what a configuration depends on besides the files.
type Host struct {
	// LookupEnv looks up environment variables.
	LookupEnv func(name string) (value string, set bool)
	// UID is the effective user ID of the process.
	UID int
	// SystemFiles are where the file for all users may be, see SystemFiles.
	SystemFiles []string
	// RunDirs is the directory with the runtime directories of users, by
	// their IDs; "" if there is none.
	RunDirs string
}

// RunDirs is the directory with the runtime directories that systemd makes for
// users.
const RunDirs = "/run/user"

// SystemFiles returns where engines look for the file for all users; the first
// that exists is the one.
func SystemFiles() []string {
	return []string{"/etc/containers/storage.conf", "/usr/share/containers/storage.conf"}
}

// fileName is the name of the file below a user's configuration directory.
const fileName = "containers/storage.conf"

// user returns the ID of the user whose store is meant: inside a user namespace
// that an engine has made, that of the one who has called the engine.
func (h Host) user() int {
	outside, _ := h.LookupEnv("_CONTAINERS_ROOTLESS_UID")
	if uid, err := strconv.ParseInt(outside, 10, 32); err == nil && uid >= 0 {
		return int(uid)
	}
	return h.UID
}

// dir returns the directory that a variable names. As the XDG Base Directory
// Specification has it, a relative one counts as none.
func (h Host) dir(variable string) (string, bool) {
	dir, _ := h.LookupEnv(variable)
	return dir, filepath.IsAbs(dir)
}

// home returns the directory that a variable names, or the one below the user's
// home that stands for it.
func (h Host) home(variable, below string) (string, error) {
	if dir, ok := h.dir(variable); ok {
		return dir, nil
	}
	if home, ok := h.dir("HOME"); ok {
		return filepath.Join(home, below), nil
	}
	return "", fmt.Errorf("neither $%s nor $HOME is an absolute path: %w", variable, model.ErrInvalid)
}

// runtimeDir returns the directory for what a user's programs need until he
// logs out. It need not exist if it is below that for temporary files.
func (h Host) runtimeDir() (string, error) {
	if dir, ok := h.dir("XDG_RUNTIME_DIR"); ok {
		return resolved(dir), nil
	}
	uid := strconv.Itoa(h.user())
	if h.RunDirs != "" {
		if dir := filepath.Join(h.RunDirs, uid); h.checkPrivate(dir) == nil {
			return dir, nil
		}
	}
	dir := h.tempRuntimeDir()
	if _, err := os.Lstat(dir); os.IsNotExist(err) {
		return dir, nil
	}
	return dir, h.checkPrivate(dir)
}

// tempRuntimeDir returns the directory that takes the place of one that somebody
// who logs in is given.
func (h Host) tempRuntimeDir() string {
	temp, ok := h.dir("TMPDIR")
	if !ok {
		temp = "/tmp"
	}
	return filepath.Join(temp, "storage-run-"+strconv.Itoa(h.user()))
}

// checkPrivate sees that nobody but the user of this process can write to a
// directory, and that it is no link to another one. The error matches
// model.ErrInvalid.
func (h Host) checkPrivate(dir string) error {
	var stat unix.Stat_t
	if err := unix.Lstat(dir, &stat); err != nil {
		return &os.PathError{Op: "lstat", Path: dir, Err: err}
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR || stat.Mode&0o722 != 0o700 || int(stat.Uid) != h.UID {
		return fmt.Errorf("%s is no directory that user %d alone can write to; set $XDG_RUNTIME_DIR: %w", dir, h.UID, model.ErrInvalid)
	}
	return nil
}

// resolved returns a path without symbolic links, if there is something at it.
func resolved(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	return filepath.Clean(path)
}

// expand replaces the variables in a path; UID is the user's ID. The error
// matches model.ErrInvalid.
func (h Host) expand(path string) (string, error) {
	var err error
	path = os.Expand(path, func(name string) string {
		if name == "UID" {
			return strconv.Itoa(h.user())
		}
		value, set := h.LookupEnv(name)
		if !set {
			err = fmt.Errorf("variable %q is not set: %w", name, model.ErrInvalid)
		}
		return value
	})
	if err == nil && !filepath.IsAbs(path) {
		err = fmt.Errorf("path %q is not absolute: %w", path, model.ErrInvalid)
	}
	if err != nil {
		return "", err
	}
	return resolved(path), nil
}
