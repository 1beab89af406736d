package db

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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

// readMarker returns the UUID in the marker, or "" if there is none.
func readMarker(database string) (string, error) {
	path := markerPath(database)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("marker: %w", err)
	}
	var m marker
	if err := json.Unmarshal(text, &m); err != nil || m.UUID == "" {
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
