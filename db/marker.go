package db

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/fsutil"
	"github.com/csdb/csdb/model"
)

// The marker is a small file beside the database that holds its UUID. It tells
// a directory that never was a store from a store whose database is missing,
// and the right database from one of another store.

// marker is the content of the marker file.
type marker struct {
	UUID string `json:"uuid"`
}

func markerPath(database string) string { return filepath.Join(filepath.Dir(database), MarkerName) }

// maxMarker is more than a marker ever has, in bytes.
const maxMarker = 4096

// readMarker returns the UUID in the marker, or "" if there is none.
func readMarker(database string) (string, error) {
	path := markerPath(database)
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case errors.Is(err, unix.ELOOP):
		return "", fmt.Errorf("marker %s: %w: a symbolic link", path, model.ErrCorrupt)
	case err != nil:
		return "", fmt.Errorf("marker: %w", err)
	}
	defer func() { _ = f.Close() }()
	var m marker
	text, err := io.ReadAll(io.LimitReader(f, maxMarker))
	if err != nil || json.Unmarshal(text, &m) != nil || m.UUID == "" {
		return "", fmt.Errorf("marker %s: %w: holds no UUID", path, model.ErrCorrupt)
	}
	return m.UUID, nil
}

// writeMarker makes the marker durably.
func writeMarker(database, uuid string) error {
	text, err := json.Marshal(marker{UUID: uuid})
	if err != nil {
		return err
	}
	return fsutil.WriteFile(markerPath(database), append(text, '\n'), 0o600)
}
