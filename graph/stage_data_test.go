package graph_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// oddKeys are keys of data items that make bad file names.
var oddKeys = []string{
	"plain", ".", "..", "...", "a/b", "/", "../../etc/passwd", "????", "aB", "é", "userdata", ".tmp-x", "=", "==", "~", "a~b",
	"manifest-sha256:0123", "sha256:" + strings.Repeat("f", 64), " ", "a b", "\n", "\xff\xfe", "日本語", "-rf", "con",
	strings.Repeat("a", 200), strings.Repeat("a", 201), strings.Repeat("A", 4096), strings.Repeat("/..", 300), "x.tar-split.gz",
}

func TestDataKeysMayHaveAnyShape(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		createLayer(t, s, "id", "")
		createImage(t, s, "id", "")
		createContainer(t, s, "id", "")
		for _, id := range []model.ID{model.LayerID("id"), model.ImageID("id"), model.ContainerID("id")} {
			for _, key := range oddKeys {
				if err := s.SetData(t.Context(), id, key, strings.NewReader(string(id.Kind())+key)); err != nil {
					t.Fatalf("key %.40q: %v", key, err)
				}
			}
			var keys []string
			noError(t, s.View(t.Context(), func(tx *graph.ReadTx) error {
				items, err := tx.Data(id)
				for _, item := range items {
					keys = append(keys, item.Key)
				}
				return err
			}))
			if diff := cmp.Diff(oddKeys, keys); diff != "" {
				t.Errorf("keys of %s (-set +found):\n%s", id.Kind(), diff)
			}
			for _, key := range oddKeys {
				if got := data(t, s, id, key); got != string(id.Kind())+key {
					t.Errorf("key %.40q has %.40q", key, got)
				}
			}
		}
		// The directory for whoever uses the object is another thing.
		dir := must(s.Dir(t.Context(), model.ImageID("id")))(t)
		writeFile(t, filepath.Join(dir, "file"), "x")
		if got := data(t, s, model.ImageID("id"), "userdata"); got != "imageuserdata" {
			t.Errorf("key userdata has %q", got)
		}
	})
}

func TestBadDataKeysAreRefused(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	createImage(t, s, "image", "")
	for _, key := range []string{"", "a\x00b", strings.Repeat("a", model.MaxNameLength+1)} {
		err := s.SetData(t.Context(), model.ImageID("image"), key, failingReader{})
		wantError(t, err, model.ErrDataKeyInvalid)
	}
	wantError(t, s.SetData(t.Context(), model.ImageID("unicorn"), "key", failingReader{}), model.ErrImageUnknown)
	_, err := s.StageData(t.Context(), graph.DataSpec{For: model.ImageID("../x"), Key: "k"}, failingReader{})
	wantError(t, err, model.ErrInvalid)
	_, err = s.StageData(t.Context(), graph.DataSpec{Digest: "sha256:x"}, failingReader{})
	wantError(t, err, model.ErrInvalid)
	_, err = s.StageData(t.Context(), graph.DataSpec{ManifestDigest: "x"}, failingReader{})
	wantError(t, err, model.ErrInvalid)
}

func TestDataIsDescribed(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	item := must(s.StageData(t.Context(), graph.DataSpec{Digest: digest.FromString("text")}, strings.NewReader("text")))(t)
	if item.Size() != 4 || item.Digest() != digest.FromString("text") {
		t.Errorf("item has %d bytes and digest %s", item.Size(), item.Digest())
	}
	noError(t, item.Discard(t.Context()))
	_, err := s.StageData(t.Context(), graph.DataSpec{Digest: digest.FromString("other")}, strings.NewReader("text"))
	wantError(t, err, model.ErrInvalid)
	p.examine(t)
}

func TestFirstVersionOfDataHasTheNameThatPeopleLookFor(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	createImage(t, s, "image", "")
	id := model.ImageID("image")
	noError(t, s.SetData(t.Context(), id, "manifest", strings.NewReader("1")))
	path := filepath.Join(p.root, "vfs-images", "image", "manifest")
	if got := readFile(t, path); got != "1" {
		t.Errorf("%s has %q", path, got)
	}
	info := must(os.Stat(path))(t)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v", info.Mode())
	}
}

func TestReadersOfReplacedDataReadOn(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		createImage(t, s, "image", "")
		id := model.ImageID("image")
		versions := []string{strings.Repeat("1", 1000), "22", strings.Repeat("3", 5000)}
		var open []*os.File
		for _, version := range versions {
			noError(t, s.SetData(t.Context(), id, "key", strings.NewReader(version)))
			f, _, err := s.OpenData(t.Context(), id, "key")
			noError(t, err)
			open = append(open, f)
		}
		noError(t, s.Update(t.Context(), func(tx *graph.Tx) error { return tx.DeleteData(id, "key") }))
		_, _, err := s.OpenData(t.Context(), id, "key")
		wantError(t, err, model.ErrDataUnknown)
		for i, f := range open {
			if got := string(must(io.ReadAll(f))(t)); got != versions[i] {
				t.Errorf("version %d has %d bytes", i, len(got))
			}
			noError(t, f.Close())
		}
		_, _, err = s.OpenData(t.Context(), model.ImageID("unicorn"), "key")
		wantError(t, err, model.ErrImageUnknown)
	})
}

func TestDamagedDataIsFound(t *testing.T) {
	p := newPlace(t, "vfs")
	p.tampered = true
	s := p.open(t)
	createImage(t, s, "image", "")
	id := model.ImageID("image")
	for name, damage := range map[string]func(path string) error{
		"changed": func(path string) error { return os.WriteFile(path, []byte("abcX"), 0o600) },
		"shorter": func(path string) error { return os.Truncate(path, 2) },
		"missing": os.Remove,
		"a link": func(path string) error {
			return errors.Join(os.Remove(path), os.Symlink("/etc/passwd", path))
		},
		"a directory": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	} {
		noError(t, s.SetData(t.Context(), id, "key", strings.NewReader("abcd")))
		noError(t, s.VerifyData(t.Context(), id, "key"))
		var at string
		noError(t, s.View(t.Context(), func(tx *graph.ReadTx) error {
			item, err := tx.DataItem(id, "key")
			at = filepath.Join(p.root, item.Content.Path)
			return err
		}))
		noError(t, damage(at))
		if err := s.VerifyData(t.Context(), id, "key"); !errors.Is(err, model.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		noError(t, s.Update(t.Context(), func(tx *graph.Tx) error { return tx.DeleteData(id, "key") }))
	}
}

func TestOneContentCannotBelongToTwoItems(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	createImage(t, s, "image", "")
	item := stageData(t, s, "x")
	err := s.Update(t.Context(), func(tx *graph.Tx) error {
		noError(t, tx.SetData(model.ImageID("image"), "a", item))
		return tx.SetData(model.ImageID("image"), "b", item)
	})
	wantError(t, err, model.ErrInvalid)
	noError(t, s.Update(t.Context(), func(tx *graph.Tx) error { return tx.SetData(model.ImageID("image"), "b", item) }))
}

// Replacing an item twice in one transaction leaves the last one.
func TestLastOfSeveralVersionsCounts(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	createImage(t, s, "image", "")
	id := model.ImageID("image")
	a, b := stageData(t, s, "a"), stageData(t, s, "b")
	noError(t, s.Update(t.Context(), func(tx *graph.Tx) error {
		return errors.Join(tx.SetData(id, "key", a), tx.SetData(id, "key", b))
	}))
	if got := data(t, s, id, "key"); got != "b" {
		t.Errorf("data is %q", got)
	}
}

func TestLargeData(t *testing.T) {
	p := newPlace(t, "vfs")
	s := p.open(t)
	createContainer(t, s, "c", "")
	content := bytes.Repeat([]byte("0123456789abcdef"), 200_000)
	noError(t, s.SetData(t.Context(), model.ContainerID("c"), "key", bytes.NewReader(content)))
	if got := data(t, s, model.ContainerID("c"), "key"); got != string(content) {
		t.Error("the data has changed")
	}
}
