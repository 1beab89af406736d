package testutil

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// debianRelease is what Debootstrap makes. A release and not "stable", so
	// that it stays the same.
	debianRelease = "bookworm"
	// debianMirror is where it comes from, unless mirrorVariable says other.
	debianMirror   = "http://deb.debian.org/debian"
	mirrorVariable = "CSDB_TEST_DEBIAN_MIRROR"
	// mirrorPatience is how long the mirror may take to answer.
	mirrorPatience = 15 * time.Second
)

// Debootstrap returns the path of a tar archive with the root file system of a
// minimal Debian, made by root with debootstrap: some 10,000 files with the
// owners, modes, links and capabilities of a real system. It is made once per
// machine, in minutes, and kept below os.UserCacheDir. It is not to be written
// to.
//
// A test skips if the mirror does not answer, also where CI is set: that is
// not the machine's fault.
func Debootstrap(t testing.TB) string {
	t.Helper()
	NeedRoot(t)
	NeedTool(t, "debootstrap", "tar")
	cache, err := os.UserCacheDir()
	if err != nil {
		Missing(t, "a folder for caches: %v", err)
	}
	path, err := cachedDebootstrap(t.Context(), filepath.Join(cache, "csdb-test"))
	if errors.Is(err, errNoMirror) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("debootstrap: %v", err)
	}
	return path
}

// cachedDebootstrap returns the archive in the given folder, which it makes if
// it is not there. Other processes that want it meanwhile wait.
func cachedDebootstrap(ctx context.Context, cache string) (string, error) {
	path := filepath.Join(cache, fmt.Sprintf("debian-%s-minbase-%s.tar", debianRelease, runtime.GOARCH))
	return cached(ctx, path, func(ctx context.Context, unfinished string) error {
		mirror := os.Getenv(mirrorVariable)
		if mirror == "" {
			mirror = debianMirror
		}
		if err := askMirror(ctx, mirror); err != nil {
			return err
		}
		return runDebootstrap(ctx, mirror, unfinished)
	})
}

// cached returns path if that file is there, or else has it made under another
// name, which is renamed. One process at a time makes a file; what a killed
// one has left is overwritten.
func cached(ctx context.Context, path string, produce func(ctx context.Context, unfinished string) error) (string, error) {
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	lock, err := lockFile(ctx, path+".lock")
	if err != nil {
		return "", err
	}
	defer lock.Close() // which unlocks
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	unfinished := path + ".unfinished"
	if err := produce(ctx, unfinished); err != nil {
		return "", err
	}
	return path, os.Rename(unfinished, path)
}

// lockFile waits until no other process has the lock, or the context ends.
func lockFile(ctx context.Context, path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(&fs.PathError{Op: "flock", Path: path, Err: err}, file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), file.Close())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// errNoMirror: the Debian mirror does not answer.
var errNoMirror = errors.New("needs an answer of the Debian mirror")

// askMirror tells by an error that the mirror does not have the release.
func askMirror(ctx context.Context, mirror string) error {
	ctx, cancel := context.WithTimeout(ctx, mirrorPatience)
	defer cancel()
	url := fmt.Sprintf("%s/dists/%s/InRelease", mirror, debianRelease)
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoMirror, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %s: %s", errNoMirror, url, response.Status)
	}
	return nil
}

// runDebootstrap makes the archive.
func runDebootstrap(ctx context.Context, mirror, archive string) error {
	root, err := newMountpoint("debian")
	if err != nil {
		return err
	}
	defer func() {
		// debootstrap mounts /proc in it, and leaves it if it is killed.
		_, _ = root.unmountLeftovers()
		_ = os.RemoveAll(root.dir)
		root.guard.dismiss()
	}()
	for _, command := range [][]string{
		{"debootstrap", "--variant=minbase", debianRelease, root.dir, mirror},
		{"tar", "--create", "--file", archive, "--directory", root.dir, "--sort=name", "--numeric-owner", "--xattrs", "--one-file-system", "."},
	} {
		if err := runTool(ctx, command...); err != nil {
			return err
		}
	}
	return nil
}
