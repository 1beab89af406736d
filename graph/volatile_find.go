package graph

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/csdb/csdb/db"
)

// VolatileDatabases returns the databases, below a run root, with the volatile
// containers that a store has at a boot of the machine (see db.BootID). It is for
// those who look at a store without opening it. Those of which nothing can be said
// are among them.
func VolatileDatabases(runRoot, uuid, boot string) (paths []string) {
	for _, transient := range []bool{false, true} {
		path := filepath.Join(runRoot, volatileDirs[transient], uuid, boot, db.FileName)
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			paths = append(paths, path)
		}
	}
	return paths
}
