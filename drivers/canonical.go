package drivers

import (
	"fmt"
	"strings"

	"github.com/csdb/csdb/model"
)

// Canonical returns the name of the driver that is also called name.
func (r Registry) Canonical(name string) (string, error) {
	entry, ok := r.Find(name)
	if !ok {
		return "", fmt.Errorf("driver %q: %w; known are %s", name, model.ErrDriverNotSupported, strings.Join(r.Names(), ", "))
	}
	return entry.Name, nil
}
