package graph_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"
)

// kernelMount returns the options of the mount at a path, as the kernel shows
// them.
func kernelMount(at string) (string, error) {
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(at))
	if err != nil {
		return "", err
	}
	if len(mounts) != 1 {
		return "", fmt.Errorf("%d mounts at %s", len(mounts), at)
	}
	return mounts[0].Options + "," + mounts[0].VFSOptions, nil
}

func splitOptions(options string) []string { return strings.Split(options, ",") }

// readAllOf reads a stream to its end and closes it.
func readAllOf(stream io.ReadCloser) ([]byte, error) {
	got, err := io.ReadAll(stream)
	return got, errors.Join(err, stream.Close())
}

// tarNames returns the names in an archive.
func tarNames(t testing.TB, archive []byte) (names []string) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		noError(t, err)
		names = append(names, path.Clean(header.Name))
	}
}
