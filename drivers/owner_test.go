package drivers_test

import (
	"errors"
	"os"
	"testing"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/model"
)

func TestRootIsWhomTheMappingsSay(t *testing.T) {
	self := drivers.Owner{UID: os.Geteuid(), GID: os.Getegid()}
	mapped := []model.IDMap{{ContainerID: 5, HostID: 50, Size: 5}, {ContainerID: 0, HostID: 700, Size: 5}}
	for _, test := range []struct {
		name       string
		uids, gids []model.IDMap
		want       drivers.Owner
		err        error
	}{
		{name: "no mappings", want: self},
		{name: "of users", uids: mapped, want: drivers.Owner{UID: 700, GID: self.GID}},
		{name: "of groups", gids: mapped, want: drivers.Owner{UID: self.UID, GID: 700}},
		{name: "without root", gids: mapped[:1], err: model.ErrInvalidMappings},
		{name: "that overlap", uids: append(mapped, mapped[0]), err: model.ErrInvalidMappings},
		{name: "that are too large", uids: []model.IDMap{{ContainerID: 0, HostID: 1 << 32, Size: 1}}, err: model.ErrInvalidMappings},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := drivers.Root(test.uids, test.gids)
			if !errors.Is(err, test.err) || err == nil && got != test.want {
				t.Errorf("got %v, %v, want %v, %v", got, err, test.want, test.err)
			}
		})
	}
}
