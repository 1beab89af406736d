package repair_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// newVolatileSample makes a sample with a volatile container "lost", and returns
// its database too.
func newVolatileSample(t *testing.T, driver string) (*sample, string) {
	t.Helper()
	s := newSample(t, driver)
	store := s.open(t)
	_, err := store.CreateContainer(t.Context(), graph.ContainerSpec{ID: "lost", Image: "app", Layer: "lost-rw", Volatile: true})
	must(t, err)
	must(t, store.SetData(t.Context(), model.ContainerID("lost"), "settings", strings.NewReader("settings of lost")))
	_, err = store.Mount(t.Context(), "lost", graph.MountOptions{})
	must(t, err)
	_, err = store.Unmount(t.Context(), "lost", false)
	must(t, err)
	must(t, store.Close())
	found, err := filepath.Glob(s.run + "/csdb-volatile/*/*/" + db.FileName)
	must(t, err)
	if len(found) != 1 {
		t.Fatalf("volatile databases: %q", found)
	}
	return s, found[0]
}

func TestRepairLeavesWhatVolatileContainersHave(t *testing.T) {
	for _, driver := range drivers() {
		t.Run(driver, func(t *testing.T) {
			s, volatile := newVolatileSample(t, driver)
			same(t, "steps in a healthy store", nil, stepsOf(makePlan(t, s), nil))
			// What is lost is not marked: the record is none of the store's own.
			must(t, os.Remove(s.path("%-containers/lost/settings")))
			plan := makePlan(t, s)
			same(t, "steps for lost content", nil, stepsOf(plan, nil))
			same(t, "left", []string{s.named("DATA-MISSING %-containers/lost/settings")}, s.places(plan.Left))
			dbtest.Delete(t, volatile, "index/layer-containers", "lost-rw\x00lost")
			plan = makePlan(t, s)
			same(t, "steps for an index", nil, stepsOf(plan, nil))
			if len(plan.Left) != 3 {
				t.Errorf("left: %q", s.places(plan.Left))
			}
			must(t, os.WriteFile(volatile, []byte(strings.Repeat("no database ", 10_000)), 0o600))
			same(t, "steps without the records", nil, stepsOf(makePlan(t, s), nil))
		})
	}
}

func TestRepairTakesAwayWhatVolatileContainersHadBeforeTheBoot(t *testing.T) {
	s, volatile := newVolatileSample(t, "vfs")
	must(t, os.RemoveAll(filepath.Dir(volatile)))
	want := []string{"move vfs-containers/lost/settings to lost+found", "move vfs/dir/lost-rw to lost+found"}
	same(t, "steps", want, stepsOf(makePlan(t, s), nil))
}
