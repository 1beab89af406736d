package userns

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Variables by which the engines tell the programs that they start in a user
// namespace about it.
const (
	configuredVariable = "_CONTAINERS_USERNS_CONFIGURED"
	uidVariable        = "_CONTAINERS_ROOTLESS_UID"
	gidVariable        = "_CONTAINERS_ROOTLESS_GID"
	// isolationVariable tells Buildah how to run commands.
	isolationVariable = "BUILDAH_ISOLATION"
)

// State is what a process may do.
type State int

// What a process can be.
const (
	// Root is root of the machine, with all of its powers.
	Root State = iota
	// Inside is a process for which an engine has made a user namespace.
	Inside
	// Powerless is what needs a user namespace: somebody else than root, root
	// without the power to mount, and root of a namespace that nobody has
	// made for an engine, where that power may not reach the mounts.
	Powerless
)

// StateOf returns the state of this process. Environment variables are looked up
// by getenv.
func StateOf(getenv func(string) string) State {
	switch {
	case getenv(configuredVariable) != "":
		return Inside
	case os.Geteuid() == 0 && isAdmin() && hasAllIDs():
		return Root
	}
	return Powerless
}

// isAdmin tells whether the process has CAP_SYS_ADMIN.
func isAdmin() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // 32 capabilities each
	err := unix.Capget(&header, &data[0])
	return err == nil && data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

// hasAllIDs tells whether the process is in the namespace of the machine, or in
// one that has all its user IDs.
func hasAllIDs() bool {
	const all = "4294967295"
	content, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && strings.HasSuffix(strings.TrimSpace(string(content)), " "+all)
}
