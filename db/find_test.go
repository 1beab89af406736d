package db_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

func TestFind(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, func(tx *db.Tx) error {
		for _, c := range []*model.Container{
			{ID: "abcdef", Names: []string{"web", "0123"}, Layer: "layer-of-web"},
			{ID: "abcxyz", Names: []string{"abc", "db"}, Layer: "layer-of-db"},
			{ID: "0123", Names: []string{"layer-of-web"}, Layer: "9"},
			{ID: "abcxyz9", Layer: "99"},
		} {
			if err := tx.CreateContainer(c); err != nil {
				return err
			}
		}
		return tx.CreateLayer(&model.Layer{ID: "abcd"})
	})
	for _, c := range []struct{ name, ref, want string }{
		{"ID", "abcdef", "abcdef"},
		{"name", "web", "abcdef"},
		{"ID before a name of another one", "0123", "0123"},
		{"name before a prefix", "abc", "abcxyz"},
		{"name before a layer", "layer-of-web", "0123"},
		{"layer", "layer-of-db", "abcxyz"},
		{"layer that begins the ID of another layer", "9", "0123"},
		{"prefix", "abcd", "abcdef"},
		{"prefix of one character", "0", "0123"},
		{"ID that is a prefix of another one", "abcxyz", "abcxyz"},
		{"ambiguous prefix", "ab", ""},
		{"ambiguous prefix that is no ID", "abcx", ""},
		{"beginning of a name", "we", ""},
		{"longer than an ID", "abcdefg", ""},
		{"empty", "", ""},
		{"NUL", "\x00", ""},
		{"behind all", "zzz", ""},
		{"very long", strings.Repeat("a", 1<<20), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			view(t, database, func(tx *db.ReadTx) error {
				got, err := tx.Find(model.KindContainer, c.ref)
				if c.want == "" {
					wantClass(t, err, model.ErrContainerUnknown)
				} else if err != nil {
					t.Error(err)
				}
				if got != c.want {
					t.Errorf("found %q, want %q", got, c.want)
				}
				return nil
			})
		})
	}
}

// The container of a layer is found by the layer; nothing else is.
func TestFindByLayerIsForContainersOnly(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, fill)
	view(t, database, func(tx *db.ReadTx) error {
		for _, kind := range []model.Kind{model.KindImage} {
			_, err := tx.Find(kind, "top")
			wantClass(t, err, model.ErrImageUnknown)
		}
		if got, err := tx.Find(model.KindContainer, "own"); err != nil || got != "container" {
			t.Errorf("%q %v", got, err)
		}
		return nil
	})
}

// Looking for a prefix must not walk over all objects: among many with the same
// prefix two are enough.
func TestFindOfAnAmbiguousPrefixIsFast(t *testing.T) {
	database := dbtest.New(t, db.Options{NoSync: true})
	const many = 3000
	update(t, database, func(tx *db.Tx) error {
		for i := range many {
			if err := createLayer(model.LayerID(fmt.Sprintf("p%05d", i)))(tx); err != nil {
				return err
			}
		}
		return nil
	})
	allocations := func(ref string) float64 {
		var n float64
		view(t, database, func(tx *db.ReadTx) error {
			n = testing.AllocsPerRun(10, func() { _, _ = tx.Find(model.KindLayer, ref) })
			return nil
		})
		return n
	}
	if one, all := allocations("p00001"), allocations("p"); all > one+20 {
		t.Errorf("an ID takes %v allocations, an ambiguous prefix %v", one, all)
	}
}

func TestLookups(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, fill)
	view(t, database, func(tx *db.ReadTx) error {
		layer, err := tx.Layer("base")
		if err != nil {
			return err
		}
		for kind, digest := range map[db.DigestKind]string{
			db.DiffDigest: layer.Diff.Digest.String(), db.CompressedDigest: layer.Diff.CompressedDigest.String(),
		} {
			layers, err := tx.LayersByDigest(kind, layer.Diff.Digest)
			if kind == db.CompressedDigest {
				layers, err = tx.LayersByDigest(kind, layer.Diff.CompressedDigest)
			}
			if err != nil || len(layers) != 1 || layers[0].ID != "base" {
				t.Errorf("%s: %v %v", digest, layers, err)
			}
		}
		if layers, err := tx.LayersByDigest(db.DiffDigest, layer.Diff.CompressedDigest); err != nil || len(layers) > 0 {
			t.Errorf("a digest of another kind finds %v %v", layers, err)
		}
		if layers, err := tx.LayersByDigest(db.DiffDigest, layer.Diff.Digest[:20]); err != nil || len(layers) > 0 {
			t.Errorf("a part of a digest finds %v %v", layers, err)
		}
		for name, got := range map[string]any{
			"children of base":      first(tx.Children("base")),
			"children of top":       first(tx.Children("top")),
			"images of top":         first(tx.ImagesOfLayer("top")),
			"images of base":        first(tx.ImagesOfLayer("base")),
			"containers of own":     first(tx.ContainersOfLayer("own")),
			"containers of image":   first(tx.ContainersOfImage("image")),
			"children of container": first(tx.Children("container")),
		} {
			want := map[string]string{
				"children of base": "[top]", "children of top": "[own]", "images of top": "[image]", "images of base": "[image]",
				"containers of own": "[container]", "containers of image": "[container]", "children of container": "[]",
			}[name]
			if fmt.Sprint(got) != want {
				t.Errorf("%s: %v, want %s", name, got, want)
			}
		}
		return nil
	})
}

func first[T any](value T, _ error) T { return value }
