package drivers

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// InUserNamespace tells whether the process is in a user namespace that does
// not have all users of the machine (user_namespaces(7)). Root is less there
// than elsewhere.
func InUserNamespace() (bool, error) {
	uidMap, err := os.ReadFile("/proc/self/uid_map")
	if errors.Is(err, fs.ErrNotExist) { // the kernel has no such namespaces
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for a user namespace: %w", err)
	}
	return strings.Join(strings.Fields(string(uidMap)), " ") != "0 0 4294967295", nil
}
