package archive

import (
	"os"
	"strings"
	"sync"
)

// inUserNamespace tells whether the process lives in a user namespace other
// than the initial one, where device nodes cannot be made and attributes
// outside the "user." class cannot all be set (user_namespaces(7)).
var inUserNamespace = sync.OnceValue(func() bool {
	data, err := os.ReadFile("/proc/self/uid_map")
	// Without the file, the kernel has no user namespaces.
	return err == nil && !mapsAllIDs(string(data))
})

// mapsAllIDs tells whether a uid_map is that of the initial user namespace:
// all 2^32-1 IDs mapped to themselves.
func mapsAllIDs(uidMap string) bool {
	return strings.Join(strings.Fields(uidMap), " ") == "0 0 4294967295"
}
