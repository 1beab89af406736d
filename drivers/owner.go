package drivers

import (
	"fmt"
	"os"

	"github.com/csdb/csdb/model"
)

// Owner is the owner of a file as the kernel sees it.
type Owner struct{ UID, GID int }

// Root returns the owner on disk of what belongs to root in a layer with the
// given mappings: whoever runs the process if there are none. The error
// matches model.ErrInvalidMappings if the mappings have no root.
func Root(uidMap, gidMap []model.IDMap) (Owner, error) {
	uid, err := mapRoot("user", uidMap, os.Geteuid())
	if err != nil {
		return Owner{}, err
	}
	gid, err := mapRoot("group", gidMap, os.Getegid())
	return Owner{uid, gid}, err
}

func mapRoot(what string, maps []model.IDMap, unmapped int) (int, error) {
	if len(maps) == 0 {
		return unmapped, nil
	}
	if err := model.ValidateIDMaps(maps); err != nil {
		return 0, err
	}
	for _, m := range maps {
		if m.ContainerID == 0 {
			return m.HostID, nil
		}
	}
	return 0, fmt.Errorf("%w: no %s has the ID 0", model.ErrInvalidMappings, what)
}
