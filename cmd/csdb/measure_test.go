package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// verify returns what "du --verify" says.
func (s *sample) verify(t testing.TB, status int) *measurement {
	t.Helper()
	r := s.csdb(t, "du", "--verify", "--json")
	if r.status != status {
		t.Fatalf("status %d, want %d: %+v", r.status, status, r)
	}
	var usage diskUsage
	must(t, json.Unmarshal([]byte(r.stdout), &usage))
	return usage.Verified
}

func TestDuComparesSizesWithTheDisk(t *testing.T) {
	s := newSample(t)
	if v := s.verify(t, exitOK); v.Layers != 64000 || v.Data != 182 || v.TarSplits == 0 || v.Skipped == 0 {
		t.Errorf("healthy store: %+v", v)
	}
	base := "vfs/dir/" + string(baseLayer)
	item := "vfs-containers/" + string(webCtr) + "/settings"
	gone := "vfs-images/" + string(toolImage) + "/manifest"
	split := "vfs-layers/" + string(sideLayer) + ".tar-split.gz"
	must(t, os.WriteFile(s.path(base+"/more"), make([]byte, 10), 0o600))
	must(t, os.Truncate(s.path(item), 3))
	must(t, os.Remove(s.path(gone)))
	info, err := os.Stat(s.path(split))
	must(t, err)
	must(t, os.Truncate(s.path(split), 0))
	want := []difference{
		{Kind: model.KindLayer, ID: string(baseLayer), Item: "content", Path: base, Recorded: 64000, Measured: 64010},
		{Kind: model.KindLayer, ID: string(sideLayer), Item: "tar-split", Path: split, Recorded: info.Size()},
		{Kind: model.KindImage, ID: string(toolImage), Item: "data manifest", Path: gone, Recorded: 76},
		{Kind: model.KindContainer, ID: string(webCtr), Item: "data settings", Path: item, Recorded: 15, Measured: 3},
	}
	v := s.verify(t, exitRepairable)
	if diff := cmp.Diff(want, v.Differences); diff != "" {
		t.Error(diff)
	}
	if v.Layers != 64010 || v.Data != 182-76-12 {
		t.Errorf("sums: %+v", v)
	}
}

func TestDuComparesLayersThatLieOnOthers(t *testing.T) {
	testutil.NeedRoot(t)
	dir := testutil.LoopMount(t, "ext4")
	s := &sample{root: filepath.Join(dir, "root"), runRoot: filepath.Join(dir, "run")}
	store, err := graph.Open(t.Context(), graph.Options{Root: s.root, RunRoot: s.runRoot, Driver: "overlay", NoSync: true})
	must(t, err)
	for _, l := range []graph.LayerSpec{{ID: baseLayer}, {ID: sideLayer, Parent: baseLayer}} {
		_, err := store.ImportLayer(t.Context(), l, diff(t, l.ID))
		must(t, err)
	}
	must(t, store.Close())
	if v := s.verify(t, exitOK); v.Layers != 128000 || v.Skipped != 0 {
		t.Errorf("healthy store: %+v", v)
	}
	path := "overlay/" + string(sideLayer) + "/diff"
	must(t, os.Truncate(s.path(path+"/file"), 1000))
	want := []difference{{Kind: model.KindLayer, ID: string(sideLayer), Item: "content", Path: path, Recorded: 64000, Measured: 1000}}
	if diff := cmp.Diff(want, s.verify(t, exitRepairable).Differences); diff != "" {
		t.Error(diff)
	}
}
