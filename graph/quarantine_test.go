package graph_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// quarantine changes marks in the database, as a repair does.
func (p *place) quarantine(ctx context.Context, fn func(*db.Tx) error) error {
	database, err := db.Open(ctx, p.root, db.Options{})
	if err != nil {
		return err
	}
	defer database.Close()
	return database.Update(ctx, fn)
}

// markLayer puts a layer in quarantine.
func (p *place) markLayer(t testing.TB, id model.LayerID) {
	t.Helper()
	p.tampered = true
	noError(t, p.quarantine(t.Context(), func(tx *db.Tx) error { return tx.SetLayerDamage(id, "LAYER-CONTENT") }))
}

// wantDamaged checks that an error is about the quarantine of an object.
func wantDamaged(t testing.TB, err error, about string) {
	t.Helper()
	wantError(t, err, model.ErrDamaged)
	if !errors.Is(err, model.ErrCorrupt) || !strings.Contains(err.Error(), about) || !strings.Contains(err.Error(), "csdb repair") {
		t.Errorf("the error does not say what is damaged and what can be done: %v", err)
	}
}

func TestNothingIsMadeFromALayerInQuarantine(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		importLayer(t, s, "base", "", file("a", "1"))
		importLayer(t, s, "top", "base", file("b", "1"))
		p.markLayer(t, "base")
		for what, try := range map[string]func() error{
			"mount": func() error { _, err := s.Mount(t.Context(), "base", graph.MountOptions{}); return err },
			"diff":  func() error { _, err := s.Diff(t.Context(), "base", graph.DiffOptions{}); return err },
			"diff from it": func() error {
				createLayer(t, s, "alone", "")
				_, err := s.Diff(t.Context(), "alone", graph.DiffOptions{From: "base"})
				return err
			},
			"changes": func() error { _, err := s.Changes(t.Context(), "base", ""); return err },
			"size":    func() error { _, err := s.DiffSize(t.Context(), "base", ""); return err },
			"apply": func() error {
				_, err := s.ApplyDiff(t.Context(), "base", bytes.NewReader(tarball(t, file("a", "1"))))
				return err
			},
			"child": func() error { _, err := s.CreateLayer(t.Context(), graph.LayerSpec{Parent: "base"}); return err },
			"staged child": func() error {
				_, err := s.StageLayer(t.Context(), graph.LayerSpec{Parent: "base"}, bytes.NewReader(tarball(t, file("a", "1"))))
				return err
			},
			"image": func() error { _, err := s.CreateImage(t.Context(), graph.ImageSpec{TopLayer: "base"}); return err },
		} {
			t.Run(what, func(t *testing.T) { wantDamaged(t, try(), `layer "base"`) })
		}
		// What is on top of it has a diff of its own.
		if got := plainDiff(t, s, "top"); !bytes.Equal(got, tarball(t, file("b", "1"))) {
			t.Error("the diff of the child is another one")
		}
		path, err := s.Mount(t.Context(), "top", graph.MountOptions{})
		if p.driver == "overlay" {
			wantDamaged(t, err, `layer "base"`)
		} else { // it has a copy of everything
			noError(t, err)
			if got := readFile(t, filepath.Join(path, "a")); got != "1" {
				t.Errorf("the child has %q", got)
			}
			must(s.Unmount(t.Context(), "top", false))(t)
		}
		noError(t, s.DeleteLayer(t.Context(), "top"))
		noError(t, s.DeleteLayer(t.Context(), "base"))
	})
}

func TestWhatIsMountedStaysSoInQuarantine(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		importLayer(t, s, "base", "", file("a", "1"))
		createLayer(t, s, "top", "base")
		must(s.Mount(t.Context(), "top", graph.MountOptions{}))(t)
		p.markLayer(t, "base")
		must(s.Mount(t.Context(), "top", graph.MountOptions{}))(t)
		must(s.Unmount(t.Context(), "top", false))(t)
		must(s.Unmount(t.Context(), "top", false))(t)
	})
}

func TestDataInQuarantineIsStoredAnew(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		id := must(s.CreateImage(t.Context(), graph.ImageSpec{ID: "image"}))(t).ID
		for _, key := range []string{"manifest", "signature"} {
			noError(t, s.SetData(t.Context(), id, key, strings.NewReader(key)))
		}
		noError(t, p.quarantine(t.Context(), func(tx *db.Tx) error {
			return tx.SetDataDamage(model.KindImage, "image", "manifest", "DATA-DIGEST")
		}))
		_, _, err := s.OpenData(t.Context(), id, "manifest")
		wantDamaged(t, err, `image "image"`)
		f, _, err := s.OpenData(t.Context(), id, "signature")
		noError(t, err)
		noError(t, f.Close())
		noError(t, s.SetData(t.Context(), id, "manifest", strings.NewReader("manifest")))
		noError(t, s.VerifyData(t.Context(), id, "manifest"))
	})
}

func TestLayerWithoutItsTarSplitCanBeUsed(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		importLayer(t, s, "base", "", file("a", "1"))
		p.tampered = true
		noError(t, p.quarantine(t.Context(), func(tx *db.Tx) error { return tx.SetTarSplitDamage("base", "DATA-DIGEST") }))
		_, err := s.Diff(t.Context(), "base", graph.DiffOptions{})
		wantDamaged(t, err, `layer "base"`)
		onMount(t, s, "base", func(path string) {
			if got := readFile(t, filepath.Join(path, "a")); got != "1" {
				t.Errorf("the layer has %q", got)
			}
		})
	})
}

// damages are ways in which the content of a layer can be damaged. Each gets the
// directory of the layer.
func damages(driver string) map[string]func(dir string) error {
	content := func(dir, name string) string {
		if driver == "overlay" {
			return filepath.Join(dir, "diff", name)
		}
		return filepath.Join(dir, name)
	}
	all := map[string]func(dir string) error{
		"changed": func(dir string) error { return os.WriteFile(content(dir, "a"), []byte("2"), 0o600) },
		"lost":    func(dir string) error { return os.Remove(content(dir, "a")) },
		"gone":    os.RemoveAll,
		"a file":  func(dir string) error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)) },
	}
	if driver == "overlay" {
		all["no content"] = func(dir string) error { return os.RemoveAll(content(dir, "")) }
		all["no name"] = func(dir string) error {
			return errors.Join(os.Remove(content(dir, "a")), os.Remove(filepath.Join(dir, "link")))
		}
		all["no link"] = func(dir string) error {
			name, err := os.ReadFile(filepath.Join(dir, "link"))
			return errors.Join(err, os.Remove(content(dir, "a")), os.Remove(filepath.Join(dir, "../l", string(name))))
		}
	}
	return all
}

func TestDamagedLayerIsHealedByImportingItAgain(t *testing.T) {
	t.Parallel()
	for name := range damages("overlay") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachDriver(t, func(t *testing.T, p *place) {
				damage := damages(p.driver)[name]
				if damage == nil {
					t.Skipf("%s has nothing of that kind", p.driver)
				}
				s := p.open(t)
				archive := []entry{folder("d"), file("a", "1"), file("d/b", "2")}
				importLayer(t, s, "base", "", file("x", "1"))
				importLayer(t, s, "mid", "base", archive...)
				importLayer(t, s, "top", "mid", file("b", "3"))
				before := must(s.Layer(t.Context(), "mid"))(t)
				noError(t, damage(p.layerDir("mid")))
				p.markLayer(t, "mid")

				spec := graph.LayerSpec{ID: "mid", Parent: "base", Names: []string{"new"}}
				_, err := s.ImportLayer(t.Context(), spec, bytes.NewReader(tarball(t, file("a", "other"))))
				wantError(t, err, model.ErrInvalid)
				healed := must(s.ImportLayer(t.Context(), spec, bytes.NewReader(compressed(t, model.Gzip, tarball(t, archive...)))))(t)
				if healed.Damage != "" || healed.Seq != before.Seq || healed.Dir != before.Dir || !healed.Created.Equal(before.Created) {
					t.Errorf("the layer is %+v", healed)
				}
				if len(healed.Names) != 1 || healed.Names[0] != "new" {
					t.Errorf("its names are %v", healed.Names)
				}
				p.tampered = false // at the end all is read
				onMount(t, s, "top", func(path string) {
					for name, want := range map[string]string{"x": "1", "a": "1", "b": "3", "d/b": "2"} {
						if got := readFile(t, filepath.Join(path, name)); got != want {
							t.Errorf("file %s has %q", name, got)
						}
					}
				})
				_, err = s.ImportLayer(t.Context(), spec, bytes.NewReader(tarball(t, archive...)))
				wantError(t, err, model.ErrDuplicateID)
			})
		})
	}
}

func TestDamagedLayerIsNotHealedWhile(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		importLayer(t, s, "base", "", file("a", "1"))
		importLayer(t, s, "named", "", file("a", "1"))
		noError(t, s.Update(t.Context(), func(tx *graph.Tx) error { _, err := tx.AddNames(model.LayerID("named"), "taken"); return err }))
		createLayer(t, s, "top", "base")
		must(s.Mount(t.Context(), "top", graph.MountOptions{}))(t)
		p.markLayer(t, "base")
		heal := func(spec graph.LayerSpec) error {
			_, err := s.ImportLayer(t.Context(), spec, bytes.NewReader(tarball(t, file("a", "1"))))
			return err
		}
		wantError(t, heal(graph.LayerSpec{ID: "base", Parent: "named"}), model.ErrDuplicateID)
		wantError(t, heal(graph.LayerSpec{ID: "base", Names: []string{"taken"}}), model.ErrDuplicateName)
		if p.driver == "overlay" { // the mount would see it
			wantError(t, heal(graph.LayerSpec{ID: "base"}), model.ErrLayerMounted)
		}
		must(s.Unmount(t.Context(), "top", false))(t)
		noError(t, heal(graph.LayerSpec{ID: "base"}))
		p.tampered = false
	})
}

// A layer that was written to by hand has nothing to be compared with.
func TestDamagedLayerWithoutDiffIsNotReplaced(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		createLayer(t, s, "layer", "")
		onMount(t, s, "layer", func(path string) { noError(t, os.WriteFile(filepath.Join(path, "a"), nil, 0o600)) })
		p.markLayer(t, "layer")
		_, err := s.ImportLayer(t.Context(), graph.LayerSpec{ID: "layer"}, bytes.NewReader(tarball(t, file("a", "1"))))
		wantError(t, err, model.ErrDuplicateID)
		wantDamaged(t, err, `layer "layer"`)
	})
}

// Two layers of which one is on top of the other are healed by one transaction.
func TestDamagedLayersAreHealedTogether(t *testing.T) {
	t.Parallel()
	eachDriver(t, func(t *testing.T, p *place) {
		s := p.open(t)
		importLayer(t, s, "base", "", file("a", "1"))
		importLayer(t, s, "top", "base", file("b", "1"))
		for _, id := range []model.LayerID{"base", "top"} {
			p.markLayer(t, id)
			noError(t, os.RemoveAll(p.layerDir(string(id))))
		}
		base := must(s.StageLayer(t.Context(), graph.LayerSpec{ID: "base"}, bytes.NewReader(tarball(t, file("a", "1")))))(t)
		top := must(s.StageLayer(t.Context(), graph.LayerSpec{ID: "top", StagedParent: base}, bytes.NewReader(tarball(t, file("b", "1")))))(t)
		noError(t, s.Update(t.Context(), func(tx *graph.Tx) error {
			_, errBase := tx.AddLayer(base)
			_, errTop := tx.AddLayer(top)
			return errors.Join(errBase, errTop)
		}))
		p.tampered = false
		onMount(t, s, "top", func(path string) {
			if readFile(t, filepath.Join(path, "a")) != "1" || readFile(t, filepath.Join(path, "b")) != "1" {
				t.Error("the layer has other content")
			}
		})
	})
}
