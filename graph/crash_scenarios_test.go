//go:build crashtest

package graph_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/csdb/csdb/internal/crashpoint"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// scenario is some work, during which a process is killed.
type scenario struct {
	name  string
	split bool // there is an image store
	given []op // is done before
	// damaged are layers that are put in quarantine before.
	damaged []model.LayerID
	// wrecks are processes that die before, and leave something over.
	wrecks []wreck
	do     []op
}

// wreck is what a process does when it dies.
type wreck struct {
	point string // at which it dies
	do    op
}

// scenarios are all of them. Together they come by every crash point.
func scenarios(t testing.TB) []scenario {
	one, two := tarball(t, file("a", "1"), folder("d"), file("d/b", "2")), tarball(t, file("a", "one more"), file("c", "3"))
	onBase := func(do, id string) op {
		return op{Do: do, Kind: model.KindLayer, ID: id, Parent: "base", Data: two}
	}
	base := op{Do: "import", ID: "base", Data: one}
	image := op{Do: "create", Kind: model.KindImage, ID: "image", Parent: "base", Names: []string{"app"}}
	container := op{Do: "create", Kind: model.KindContainer, ID: "c", Parent: "image", Names: []string{"web"}}
	publish := op{Do: "publish", ID: "new", Parent: "base", Names: []string{"app", "app:1"}}
	return []scenario{
		{name: "layers", given: []op{base}, do: []op{
			onBase("stage-layer", "a"),
			onBase("commit-layer", "a"),
			{Do: "import", ID: "b", Parent: "a", Names: []string{"b"}, Key: "text", Data: one},
		}},
		{name: "heal", given: []op{base, onBase("import", "x"), onBase("import", "y")}, damaged: []model.LayerID{"x"}, do: []op{
			onBase("import", "x"),
		}},
		{name: "staged", given: []op{base}, do: []op{
			onBase("stage-layer", "a"),
			onBase("discard-layer", "a"),
			{Do: "stage-data", Data: one},
			onBase("stage-layer", "a"),
			{Do: "close"},
		}},
		{name: "data", given: []op{base, image}, do: []op{
			setData(model.KindImage, "image", "manifest", "old"),
			setData(model.KindImage, "image", "manifest", "new"),
			setData(model.KindImage, "image", "a/b", "x"),
			{Do: "delete-data", Kind: model.KindImage, ID: "image", Key: "manifest"},
		}},
		{name: "image", given: []op{base, image}, do: []op{
			publish,
			{Do: "publish", ID: "newer", Parent: "new-2", Names: []string{"app"}},
		}},
		{name: "container", given: []op{base, image}, do: container.life()},
		{name: "volatile", given: []op{base, image, container, lost("v", "x")}, do: []op{
			{Do: "rename", Kind: model.KindContainer, ID: "v", Key: "add", Names: []string{"web"}},
			{Do: "rename", Kind: model.KindContainer, ID: "c", Key: "set", Names: []string{"x", "y"}},
			lost("w", "z"),
			{Do: "rename", Kind: model.KindContainer, ID: "w", Key: "add", Names: []string{"y", "web"}},
			{Do: "delete", Kind: model.KindContainer, ID: "v"},
		}},
		{name: "settle", given: []op{base, image, container, lost("v", "x")}, wrecks: []wreck{
			{crashpoint.SeveralCommitted, op{Do: "rename", Kind: model.KindContainer, ID: "v", Key: "add", Names: []string{"web"}}},
		}, do: []op{
			{Do: "rename", Kind: model.KindContainer, ID: "v", Key: "remove", Names: []string{"x"}},
		}},
		{name: "image store", split: true, given: []op{base, image}, do: []op{
			container,
			{Do: "mount", ID: "c"},
			{Do: "put", ID: "of-c", Key: "f", Data: []byte("x")},
			{Do: "unmount", ID: "c"},
			publish,
			{Do: "create", Kind: model.KindContainer, ID: "d", Parent: "new"},
			{Do: "delete", Kind: model.KindContainer, ID: "d"},
			{Do: "delete", Kind: model.KindImage, ID: "new"},
			{Do: "delete", Kind: model.KindContainer, ID: "c"},
			{Do: "delete", Kind: model.KindImage, ID: "image"},
		}},
		{name: "empty layers", given: []op{base}, do: []op{
			{Do: "create", Kind: model.KindLayer, ID: "e1", Parent: "base"},
			{Do: "create", Kind: model.KindLayer, ID: "e2", Parent: "e1"},
			{Do: "create", Kind: model.KindLayer, ID: "e3", Parent: "e2"},
			{Do: "mount", ID: "e3"},
			{Do: "put", ID: "e3", Key: "f", Data: []byte("x")},
			{Do: "unmount", ID: "e3"},
			{Do: "create", Kind: model.KindLayer, ID: "e4", Parent: "e2"},
			{Do: "import", ID: "full", Parent: "e4", Data: one},
		}},
		{name: "apply", given: []op{base, {Do: "create", Kind: model.KindLayer, ID: "top", Parent: "base"}}, do: []op{
			{Do: "apply", ID: "top", Data: one},
			{Do: "apply", ID: "top", Data: two},
			{Do: "apply", ID: "top", Data: one},
		}},
		{name: "delete", given: []op{
			base, image, container,
			{Do: "mount", ID: "of-c"},
			{Do: "unmount", ID: "of-c"},
			setData(model.KindContainer, "c", "key", "x"),
			setData(model.KindImage, "image", "key", "x"),
			publish,
			onBase("import", "x"),
		}, do: []op{
			{Do: "delete", Kind: model.KindContainer, ID: "c", Force: true},
			{Do: "delete", Kind: model.KindImage, ID: "new"},
			{Do: "delete", Kind: model.KindImage, ID: "image", Force: true},
			{Do: "delete", Kind: model.KindLayer, ID: "x", Force: true},
			{Do: "delete", Kind: model.KindLayer, ID: "base"},
		}},
		{name: "wipe", given: []op{base, image, publish, container}, do: []op{
			{Do: "mount", ID: "of-c"},
			{Do: "dir", Kind: model.KindContainer, ID: "c", Key: "f"},
			{Do: "wipe"},
			base,
		}},
		{name: "recover", given: []op{base, image, container, onBase("import", "x"), onBase("import", "y")}, wrecks: []wreck{
			{crashpoint.CommitAfter, op{Do: "delete", Kind: model.KindLayer, ID: "x"}},
			{crashpoint.ReapRemoved, op{Do: "delete", Kind: model.KindLayer, ID: "y"}},
			{crashpoint.StageSynced, onBase("stage-layer", "x")},
			{crashpoint.ReleaseNoted, setData(model.KindImage, "image", "config", "x")},
			{crashpoint.DataTemp, setData(model.KindImage, "image", "other", "x")},
			{crashpoint.MakeCreated, op{Do: "mount", ID: "of-c"}},
		}, do: []op{
			{Do: "recover"},
			{Do: "recover"},
		}},
	}
}

// lost creates a volatile container.
func lost(id string, names ...string) op {
	return op{Do: "create", Kind: model.KindContainer, ID: id, Parent: "image", Names: names, Lost: true}
}

func setData(kind model.Kind, id, key, text string) op {
	return op{Do: "set-data", Kind: kind, ID: id, Key: key, Data: []byte(text)}
}

// life is the life of the container that o creates. It is deleted while it is
// mounted.
func (o op) life() []op {
	layer := string(containerLayer(o.ID))
	return []op{
		o,
		{Do: "mount", ID: o.ID},
		{Do: "put", ID: layer, Key: "f", Data: []byte("1")},
		{Do: "mount", ID: o.ID},
		{Do: "unmount", ID: o.ID},
		{Do: "unmount", ID: o.ID},
		{Do: "dir", Kind: o.Kind, ID: o.ID, Key: "f"},
		{Do: "dir", Kind: o.Kind, ID: o.ID, Key: "f", Force: true},
		setData(o.Kind, o.ID, "key", "x"),
		{Do: "mount", ID: layer},
		{Do: "put", ID: layer, Key: "g", Data: []byte("2")},
		{Do: "delete", Kind: o.Kind, ID: o.ID},
	}
}

// prepare makes a store in which the scenario can begin.
func (sc *scenario) prepare(t testing.TB, p *place) {
	t.Helper()
	// Of a layer only the last diff is known.
	p.altered = slices.ContainsFunc(sc.do, func(o op) bool { return o.Do == "apply" })
	h, done := p.takeHands(t)
	for _, o := range sc.given {
		h.mustDo(t, o)
	}
	done()
	for _, id := range sc.damaged {
		p.markLayer(t, id)
	}
	for _, w := range sc.wrecks {
		a := startAgent(t, p, at(w.point, 1))
		if r := a.perform(t.Context(), w.do); r.Err != noAnswer {
			t.Fatalf("%s: not killed at %s: %+v", w.do.Do, w.point, r)
		}
		a.wasKilled(t)
	}
}

// at is what an agent has in its environment that is to die at the n-th hit of
// a crash point.
func at(point string, n int) string { return fmt.Sprintf("%s=%s=%d", crashpoint.Variable, point, n) }

// killPlace is newPlace for a test that kills processes. To them a sync is as good
// as none, so in the short version they get a file system that is quick at it.
func killPlace(t *testing.T, driver string) *place {
	t.Helper()
	if !testing.Short() || os.Geteuid() != 0 {
		return newPlace(t, driver)
	}
	t.Parallel()
	return placeIn(t, driver, testutil.Tmpfs(t))
}

// beside returns a place near p.
func (p *place) beside(name string) *place {
	dir := filepath.Join(filepath.Dir(p.root), name)
	return &place{driver: p.driver, root: filepath.Join(dir, "root"), run: filepath.Join(dir, "run"), images: p.images}
}
