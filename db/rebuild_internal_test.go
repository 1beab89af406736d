package db

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/model"
)

// salvagedAs makes a record as if it had been found somewhere.
func salvagedAs(origin Origin, in bucket, key string, record any) *SalvagedRecord {
	return &SalvagedRecord{Bucket: string(in), Key: key, Origin: origin, bucket: in, path: pathOf(in), record: record}
}

func salvagedLayer(origin Origin, l model.Layer) *SalvagedRecord {
	return salvagedAs(origin, bucketLayers, string(l.ID), &l)
}

func salvagedImage(origin Origin, i model.Image) *SalvagedRecord {
	return salvagedAs(origin, bucketImages, string(i.ID), &i)
}

func salvagedContainer(origin Origin, c model.Container) *SalvagedRecord {
	return salvagedAs(origin, bucketContainers, string(c.ID), &c)
}

func salvagedItem(origin Origin, image, key, path string) *SalvagedRecord {
	return salvagedAs(origin, bucketImageData, joinKey(image, key), &model.Data{Key: key, Seq: 1, Content: model.Content{Path: path}})
}

// TestWhatContradictsIsLeftOut brings records of different age together.
func TestWhatContradictsIsLeftOut(t *testing.T) {
	split := &model.Diff{TarSplit: &model.Content{Path: "split"}}
	for _, c := range []struct {
		name    string
		records []*SalvagedRecord
		// Keys of records that are left, and what was left out of which.
		left    []string
		omitted []string
	}{
		{
			"the name goes to the better source",
			[]*SalvagedRecord{
				salvagedImage(FromPrevious, model.Image{ID: "old", Seq: 9, Names: []string{"name", "other"}}),
				salvagedImage(FromLive, model.Image{ID: "new", Seq: 1, Names: []string{"name"}}),
			},
			[]string{"new", "old"},
			[]string{`old name "name"`},
		},
		{
			"the name goes to the newer one of the same source",
			[]*SalvagedRecord{
				salvagedImage(FromFreed, model.Image{ID: "old", Seq: 1, Names: []string{"name"}}),
				salvagedImage(FromFreed, model.Image{ID: "new", Seq: 2, Names: []string{"name"}}),
			},
			[]string{"old", "new"},
			[]string{`old name "name"`},
		},
		{
			"names of different kinds do not meet",
			[]*SalvagedRecord{
				salvagedImage(FromLive, model.Image{ID: "one", Names: []string{"name"}}),
				salvagedContainer(FromLive, model.Container{ID: "two", Layer: "layer", Names: []string{"name"}}),
			},
			[]string{"one", "two"},
			nil,
		},
		{
			"a layer belongs to one container",
			[]*SalvagedRecord{
				salvagedContainer(FromFreed, model.Container{ID: "old", Layer: "layer"}),
				salvagedContainer(FromLive, model.Container{ID: "new", Layer: "layer"}),
			},
			[]string{"new"},
			[]string{"old "},
		},
		{
			"no layer is its own ancestor",
			[]*SalvagedRecord{
				salvagedLayer(FromLive, model.Layer{ID: "a", Parent: "b"}),
				salvagedLayer(FromFreed, model.Layer{ID: "b", Parent: "a"}),
				salvagedLayer(FromLive, model.Layer{ID: "c", Parent: "c"}),
			},
			[]string{"a"},
			[]string{"b ", "c "},
		},
		{
			"a content file has one owner",
			[]*SalvagedRecord{
				salvagedImage(FromLive, model.Image{ID: "image"}),
				salvagedItem(FromFreed, "image", "old", "file"),
				salvagedItem(FromLive, "image", "new", "file"),
				salvagedItem(FromLive, "image", "split", "split"),
				salvagedLayer(FromFreed, model.Layer{ID: "a", Seq: 1, Diff: split}),
				salvagedLayer(FromFreed, model.Layer{ID: "b", Seq: 2, Diff: split}),
			},
			[]string{"image", "a", "b", "image\x00new"},
			[]string{"a tar-split", "image\x00old ", "image\x00split "},
		},
		{
			"data items of nobody",
			[]*SalvagedRecord{salvagedItem(FromLive, "image", "key", "file")},
			nil,
			[]string{"image\x00key "},
		},
		{
			"IDs and names that cannot be",
			[]*SalvagedRecord{
				salvagedImage(FromLive, model.Image{ID: "../image"}),
				salvagedImage(FromLive, model.Image{ID: "image", Names: []string{""}}),
				salvagedLayer(FromLive, model.Layer{ID: "layer", Parent: "a\x00b"}),
			},
			[]string{"image"},
			[]string{"../image ", `image name ""`, "layer "},
		},
		{
			"trash that is needed, or was found in a page that is free",
			[]*SalvagedRecord{
				salvagedImage(FromLive, model.Image{ID: "image"}),
				salvagedLayer(FromLive, model.Layer{ID: "layer", Made: true}),
				salvagedItem(FromLive, "image", "key", "file"),
				salvagedAs(FromLive, bucketTrash, "file", &Trash{Path: "file", Kind: TrashFile}),
				salvagedAs(FromLive, bucketTrash, "vfs/layer", &Trash{Path: "vfs/layer", Kind: TrashLayer, Dir: "layer"}),
				salvagedAs(FromFreed, bucketTrash, "freed", &Trash{Path: "freed", Kind: TrashFile}),
				salvagedAs(FromLive, bucketTrash, "gone", &Trash{Path: "gone", Kind: TrashFile}),
			},
			[]string{"image", "layer", "image\x00key", "gone"},
			[]string{"file ", "freed ", "vfs/layer "},
		},
		{
			"holds on nothing, and what may have been settled since",
			[]*SalvagedRecord{
				salvagedLayer(FromFreed, model.Layer{ID: "layer"}),
				salvagedAs(FromFreed, bucketHolds, "held", &Hold{Kind: model.KindLayer, ID: "layer", Store: "u"}),
				salvagedAs(FromLive, bucketHolds, "held in vain", &Hold{Kind: model.KindLayer, ID: "x", Store: "u"}),
				salvagedAs(FromStray, bucketElsewhere, "far", &Elsewhere{Kind: model.KindLayer, ID: "far", Store: "u"}),
				salvagedAs(FromBackup, bucketDecided, "u", &Decided{Store: "u"}),
				salvagedAs(FromPrevious, bucketPrepared, "prepared", &Prepared{Tx: "prepared"}),
				salvagedAs(FromBackup, bucketPrepared, "old", &Prepared{Tx: "old"}),
				salvagedAs(FromLive, bucketRuns, "/run", &RunRoot{Path: "/run"}),
				salvagedAs(FromFreed, bucketRuns, "/old", &RunRoot{Path: "/old"}),
			},
			[]string{"layer", "held", "far", "u", "prepared", "/run"},
			[]string{"/old ", "held in vain ", "old "},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := resolve(c.records)
			var left, omitted []string
			for _, record := range slices.Concat(r.objects, r.items, r.trash, r.places) {
				left = append(left, record.Key)
			}
			for _, o := range r.omissions {
				omitted = append(omitted, o.Record.Key+" "+o.Part)
			}
			slices.Sort(omitted)
			slices.Sort(left)
			slices.Sort(c.left)
			if diff := cmp.Diff(c.left, left); diff != "" {
				t.Errorf("left: %s", diff)
			}
			if diff := cmp.Diff(c.omitted, omitted); diff != "" {
				t.Errorf("left out: %s", diff)
			}
		})
	}
}

// TestResolvingChangesNoRecord resolves the same records twice.
func TestResolvingChangesNoRecord(t *testing.T) {
	records := []*SalvagedRecord{
		salvagedImage(FromFreed, model.Image{ID: "old", Names: []string{"name"}}),
		salvagedImage(FromLive, model.Image{ID: "new", Names: []string{"name"}}),
	}
	first, second := resolve(records), resolve(records)
	if len(first.omissions) != 1 || len(second.omissions) != 1 {
		t.Errorf("%d and then %d omissions", len(first.omissions), len(second.omissions))
	}
}

func TestGapsHaveBounds(t *testing.T) {
	g := newGaps()
	g.add(gap{path: []string{"v1", "layers"}, low: []byte("b"), high: []byte("d"), open: true})
	g.add(gap{path: []string{"v1"}, low: []byte("n"), high: []byte("o")})
	for _, c := range []struct {
		path []string
		key  string
		want bool
	}{
		{[]string{"v1", "layers"}, "a", false},
		{[]string{"v1", "layers"}, "b", false},
		{[]string{"v1", "layers"}, "b0", true},
		{[]string{"v1", "layers"}, "c", true},
		{[]string{"v1", "layers"}, "d", false},
		{[]string{"v1", "images"}, "c", false},
		{[]string{"v1", "names/layer"}, "anything", true},
		{[]string{"v1", "names/layer", "inner"}, "anything", true},
		{[]string{"v1", "o"}, "x", false},
		{[]string{"v1"}, "n", true},
	} {
		if got := g.has(c.path, c.key); got != c.want {
			t.Errorf("%q %q: %v", c.path, c.key, got)
		}
	}
	for range maxGaps + 1 {
		g.add(gap{path: []string{"v1", "images"}, low: []byte("x"), high: []byte("y")})
	}
	if !g.has([]string{"v1", "images"}, "a") {
		t.Error("a bucket with very many gaps is not one gap")
	}
}
