package graph_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// setMappings gives mappings to a layer, as a store of another version may have.
func (p *place) setMappings(t testing.TB, id model.LayerID, uids, gids []model.IDMap) {
	t.Helper()
	database := must(db.Open(t.Context(), p.root, db.Options{}))(t)
	defer database.Close()
	noError(t, database.Update(t.Context(), func(tx *db.Tx) error {
		_, err := tx.UpdateLayer(db.OpApply, id, func(l *model.Layer) error {
			l.UIDMap, l.GIDMap = uids, gids
			return nil
		})
		return err
	}))
}

func TestParentOwnersAreThoseThatMappingsCannotExpress(t *testing.T) {
	testutil.NeedRoot(t)
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		createLayer(t, s, "layer", "")
		path := must(s.Mount(t.Context(), "layer", graph.MountOptions{}))(t)
		// Above the mount point are those, up to the root of the store, ...
		dirs := strings.Split(strings.TrimPrefix(filepath.Dir(path), p.root+"/"), "/")
		for i := range dirs {
			dir := filepath.Join(p.root, filepath.Join(dirs[:i+1]...))
			noError(t, os.Chown(dir, 5000+i, 6000+i))
			t.Cleanup(func() { _ = os.Chown(dir, 0, 0) })
		}
		last := len(dirs) - 1
		noError(t, os.Chown(path, 7000, 7000)) // ... and not the mount point itself.
		var uids []int
		for i := range dirs {
			uids = append(uids, 5000+i)
		}
		for _, test := range []struct {
			name       string
			uids, gids []model.IDMap
			want       graph.Owners
		}{
			{"no mapping", nil, nil, graph.Owners{}},
			{
				"of users only",
				[]model.IDMap{{ContainerID: 0, HostID: 0, Size: 5000}},
				nil,
				graph.Owners{UIDs: uids},
			},
			{
				"the last one of a range, and the first one behind it",
				[]model.IDMap{{ContainerID: 7, HostID: 4000, Size: 1000 + last}, {ContainerID: 5, HostID: 0, Size: 1}},
				[]model.IDMap{{ContainerID: 0, HostID: 6000, Size: 100}},
				graph.Owners{UIDs: []int{5000 + last}, GIDs: []int{0}},
			},
			{
				"all",
				[]model.IDMap{{ContainerID: 0, HostID: 0, Size: 10000}},
				[]model.IDMap{{ContainerID: 0, HostID: 0, Size: 10000}},
				graph.Owners{},
			},
		} {
			p.setMappings(t, "layer", test.uids, test.gids)
			got, err := s.ParentOwners(t.Context(), "layer")
			noError(t, err)
			if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.name, diff)
			}
		}
		p.setMappings(t, "layer", nil, nil)
		must(s.Unmount(t.Context(), "layer", false))(t)
	})
}

func TestParentOwnersOfAMappedLayerNeedItsMount(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	createLayer(t, s, "layer", "")
	if owners, err := s.ParentOwners(t.Context(), "layer"); err != nil || len(owners.UIDs)+len(owners.GIDs) > 0 {
		t.Errorf("a layer without mapping has %v, %v", owners, err)
	}
	p.setMappings(t, "layer", nil, []model.IDMap{{ContainerID: 0, HostID: 1, Size: 1}})
	_, err := s.ParentOwners(t.Context(), "layer")
	wantError(t, err, model.ErrLayerNotMounted)
	_, err = s.ParentOwners(t.Context(), "unicorn")
	wantError(t, err, model.ErrLayerUnknown)
}
