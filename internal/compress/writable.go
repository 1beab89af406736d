package compress

import (
	"fmt"

	"github.com/csdb/csdb/model"
)

// Writable returns the error that NewWriter gives for a compression that can
// only be read, or nil.
func Writable(kind model.Compression) error {
	switch kind {
	case model.Uncompressed, model.Gzip, model.Zstd:
		return nil
	default:
		return fmt.Errorf("writing %s: %w", kind, model.ErrUnsupported)
	}
}
