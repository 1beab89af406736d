package graph_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

func TestObjectsAreFoundByIDNameAndPrefix(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	noError(t, s.Update(t.Context(), func(tx *graph.Tx) error {
		var errs []error
		for _, id := range []model.LayerID{"abc", "abd", "x", "name"} {
			_, err := tx.CreateLayer(graph.LayerSpec{ID: id})
			errs = append(errs, err)
		}
		_, err := tx.AddNames(model.LayerID("x"), "name", "alias", "ab")
		_, errImage := tx.CreateImage(graph.ImageSpec{ID: "image", TopLayer: "abc", Names: []string{"abd"}})
		_, errContainer := tx.CreateContainer(graph.ContainerSpec{ID: "container", Image: "image", Layer: "own"})
		return errors.Join(append(errs, err, errImage, errContainer)...)
	}))
	for ref, want := range map[string]string{
		"abc": "abc", "x": "x", "alias": "x",
		"name":  "name", // an ID comes before a name
		"ab":    "x",    // a name before a prefix
		"abd":   "abd",
		"nam":   "name",
		"a":     "", // two begin like this
		"":      "",
		"image": "",
	} {
		l, err := s.Layer(t.Context(), ref)
		if want == "" {
			wantError(t, err, model.ErrLayerUnknown)
		} else if err != nil || string(l.ID) != want {
			t.Errorf("layer %q: got %+v, %v", ref, l, err)
		}
	}
	for _, ref := range []string{"container", "con", "own"} {
		if c, err := s.Container(t.Context(), ref); err != nil || c.ID != "container" {
			t.Errorf("container %q: got %+v, %v", ref, c, err)
		}
	}
	for ref, want := range map[string]model.ID{
		"abd": model.LayerID("abd"), "image": model.ImageID("image"), "ima": model.ImageID("image"),
		"cont": model.ContainerID("container"), "own": model.LayerID("own"),
	} {
		if id, err := s.Find(t.Context(), ref); err != nil || id != want {
			t.Errorf("%q: got %v, %v", ref, id, err)
		}
	}
	if id, err := s.Find(t.Context(), "abd", model.KindImage, model.KindLayer); err != nil || id != model.ImageID("image") {
		t.Errorf("got %v, %v", id, err)
	}
	_, err := s.Find(t.Context(), "unicorn")
	wantError(t, err, model.ErrNotAnID)
	_, err = s.Find(t.Context(), "unicorn", model.KindContainer)
	wantError(t, err, model.ErrContainerUnknown)
}

func TestListsAreInTheOrderOfCreation(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	var layers, images, containers []string
	for i := range 20 {
		id := fmt.Sprintf("id-%c", 'z'-i)
		createLayer(t, s, model.LayerID(id), "")
		createImage(t, s, model.ImageID(id), "")
		must(s.CreateContainer(t.Context(), graph.ContainerSpec{ID: model.ContainerID(id), Layer: model.LayerID("own-" + id)}))(t)
		layers = append(layers, id, "own-"+id)
		images, containers = append(images, id), append(containers, id)
	}
	r := recordsOf(t, s)
	if diff := cmp.Diff(layers, idsOf(r.Layers, func(l *model.Layer) string { return string(l.ID) })); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(images, idsOf(r.Images, func(i *model.Image) string { return string(i.ID) })); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(containers, idsOf(r.Containers, func(c *model.Container) string { return string(c.ID) })); diff != "" {
		t.Error(diff)
	}
}

// idsOf returns the IDs of records.
func idsOf[R any](all []R, id func(R) string) (ids []string) {
	for _, r := range all {
		ids = append(ids, id(r))
	}
	return ids
}

func TestObjectsAreFoundByWhatTheyReferTo(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	base := importLayer(t, s, "base", "", file("a", "1"))
	importLayer(t, s, "twin", "", file("a", "1"))
	createLayer(t, s, "child", "base")
	createImage(t, s, "i1", "base")
	createImage(t, s, "i2", "base")
	createContainer(t, s, "c", "i1")
	noError(t, s.View(t.Context(), func(tx *graph.ReadTx) error {
		for kind, d := range map[db.DigestKind]digest.Digest{db.DiffDigest: base.Diff.Digest, db.CompressedDigest: base.Diff.CompressedDigest} {
			layers, err := tx.LayersByDigest(kind, d)
			noError(t, err)
			if got := idsOf(layers, func(l *model.Layer) string { return string(l.ID) }); fmt.Sprint(got) != "[base twin]" {
				t.Errorf("digest of kind %d: got %v", kind, got)
			}
		}
		_, err := tx.LayersByDigest(db.TOCDigest, base.Diff.Digest)
		wantError(t, err, model.ErrLayerUnknown)
		_, err = tx.LayersByDigest(db.DiffDigest, "sha256:x")
		wantError(t, err, model.ErrInvalid)
		images, err := tx.ImagesByTopLayer("bas")
		if got := idsOf(images, func(i *model.Image) string { return string(i.ID) }); err != nil || fmt.Sprint(got) != "[i1 i2]" {
			t.Errorf("got images %v, %v", got, err)
		}
		_, err = tx.ImagesByTopLayer("unicorn")
		wantError(t, err, model.ErrLayerUnknown)
		c, err := tx.Container("c")
		noError(t, err)
		byLayer, err := tx.ContainerByLayer(string(c.Layer))
		if err != nil || byLayer.ID != "c" {
			t.Errorf("got container %+v, %v", byLayer, err)
		}
		_, err = tx.ContainerByLayer("base")
		wantError(t, err, model.ErrContainerUnknown)
		children, err := tx.Children("base")
		if err != nil || len(children) != 2 {
			t.Errorf("got children %v, %v", children, err)
		}
		return nil
	}))
}

func TestImagesAreFoundByEveryDigest(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	given, computed := digest.FromString("given"), digest.FromString("computed")
	must(s.CreateImage(t.Context(), graph.ImageSpec{ID: "image", Digest: given}))(t)
	id := model.ImageID("image")
	set := func(key, text string, d digest.Digest) {
		t.Helper()
		item := must(s.StageData(t.Context(), graph.DataSpec{ManifestDigest: d}, strings.NewReader(text)))(t)
		noError(t, s.Update(t.Context(), func(tx *graph.Tx) error { return tx.SetData(id, key, item) }))
	}
	check := func(want ...digest.Digest) {
		t.Helper()
		image := must(s.Image(t.Context(), "image"))(t)
		if diff := cmp.Diff(want, image.Digests()); diff != "" {
			t.Errorf("digests (-want +got):\n%s", diff)
		}
		noError(t, s.View(t.Context(), func(tx *graph.ReadTx) error {
			for _, d := range want {
				if found, err := tx.ImagesByDigest(d); err != nil || len(found) != 1 {
					t.Errorf("by %s: %d images, %v", d, len(found), err)
				}
			}
			return nil
		}))
	}
	check(given)
	set("manifest", "text", computed)
	check(given, computed)
	set("manifest-other", "other", "")
	check(given, computed, digest.FromString("other"))
	set("config", "config", "")
	check(given, computed, digest.FromString("other"))
	set("manifest", "replaced", "")
	check(given, digest.FromString("replaced"), digest.FromString("other"))
	noError(t, s.Update(t.Context(), func(tx *graph.Tx) error { return tx.DeleteData(id, "manifest") }))
	check(given, digest.FromString("other"))
}

func TestNamesAreStolenAndRemembered(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	createImage(t, s, "a", "", "x", "y", "x")
	createImage(t, s, "b", "")
	ctx := t.Context()
	check := func(id model.ImageID, names, history string) {
		t.Helper()
		image := must(s.Image(ctx, string(id)))(t)
		if fmt.Sprint(image.Names) != names || fmt.Sprint(image.NamesHistory) != history {
			t.Errorf("image %s has names %v and history %v", id, image.Names, image.NamesHistory)
		}
	}
	check("a", "[x y]", "[]")
	must(s.AddNames(ctx, model.ImageID("a"), "c"))(t)
	check("a", "[c x y]", "[y x c]")
	must(s.RemoveNames(ctx, model.ImageID("a"), "x", "unicorn"))(t)
	check("a", "[c y]", "[y c x]")
	must(s.AddNames(ctx, model.ImageID("b"), "y", "z"))(t)
	check("a", "[c]", "[y c x]")
	check("b", "[y z]", "[z y]")
	must(s.SetNames(ctx, model.ImageID("b")))(t)
	check("b", "[]", "[z y]")
	if got := must(s.Image(ctx, "c"))(t); got.ID != "a" {
		t.Errorf("name c means %s", got.ID)
	}
	_, err := s.Image(ctx, "y")
	wantError(t, err, model.ErrImageUnknown)
	// Names of other kinds are others.
	createLayer(t, s, "layer", "")
	must(s.AddNames(ctx, model.LayerID("layer"), "c"))(t)
	check("a", "[c]", "[y c x]")
	_, err = s.AddNames(ctx, model.ContainerID("unicorn"), "c")
	wantError(t, err, model.ErrContainerUnknown)
}

func TestMetadataIsReplaced(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	createLayer(t, s, "id", "")
	createImage(t, s, "id", "")
	createContainer(t, s, "id", "")
	for _, id := range []model.ID{model.LayerID("id"), model.ImageID("id"), model.ContainerID("id")} {
		text := string(id.Kind()) + strings.Repeat("\x00\xff long ", 10_000)
		if id.Kind() == model.KindImage {
			text = strings.Repeat("é", 1000)
		}
		err := s.SetMetadata(t.Context(), id, text)
		got := must(metadata(t.Context(), s, id))(t)
		if err == nil && got != text || err != nil && !errors.Is(err, model.ErrInvalid) {
			t.Errorf("metadata of %s: %.40q, %v", id.Kind(), got, err)
		}
	}
	wantError(t, s.SetMetadata(t.Context(), model.ImageID("unicorn"), ""), model.ErrImageUnknown)
}

func metadata(ctx context.Context, s *graph.Store, id model.ID) (text string, err error) {
	err = s.View(ctx, func(tx *graph.ReadTx) error {
		text, err = tx.Metadata(id)
		return err
	})
	return text, err
}

func TestEmbeddingProgramHasABucketOfItsOwn(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	noError(t, s.Update(t.Context(), func(tx *graph.Tx) error {
		inner := tx.Bucket("com.example").Bucket("inner")
		return errors.Join(tx.Bucket("com.example").Put([]byte("k"), []byte("v")), inner.Put([]byte("k"), []byte("w")))
	}))
	noError(t, s.Wipe(t.Context())) // which is about objects only
	noError(t, s.View(t.Context(), func(tx *graph.ReadTx) error {
		v, err := tx.Bucket("com.example").Get([]byte("k"))
		w, errInner := tx.Bucket("com.example").Bucket("inner").Get([]byte("k"))
		if string(v)+string(w) != "vw" {
			t.Errorf("values are %q and %q", v, w)
		}
		return errors.Join(err, errInner)
	}))
}

func TestJournalTellsWhatHappened(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	importLayer(t, s, "base", "", file("a", "1"))
	must(s.AddNames(t.Context(), model.LayerID("base"), "name"))(t)
	noError(t, s.DeleteLayer(t.Context(), "base"))
	var ops []string
	noError(t, s.View(t.Context(), func(tx *graph.ReadTx) error {
		return tx.Journal(0, func(e *db.JournalEntry) bool {
			for _, c := range e.Changes {
				ops = append(ops, string(c.Op)+" "+c.ID)
			}
			return true
		})
	}))
	want := []string{"create base", "rename base", "delete base", "trash base", "trash base", "reap base", "reap base"}
	if diff := cmp.Diff(want, ops); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
}
