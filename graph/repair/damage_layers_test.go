package repair_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

// layerDamage is what can happen to the directories of layers with any driver,
// and to mounts.
func layerDamage() []damage {
	stray := func(name string, do func(*testing.T, *sample)) damage {
		return damage{name: name, do: do, steps: []string{"move @nobody to lost+found"}, mended: []string{"STRAY @nobody"}}
	}
	changed := func(do func(t *testing.T, path string)) func(*testing.T, *sample) {
		return func(t *testing.T, s *sample) { do(t, s.contentOf("top", "top")) }
	}
	return []damage{
		{name: "directory of a layer is missing", do: remove("@side"), left: []string{"LAYER-DIR-MISSING @side"}},
		{name: "directory of a container's layer is missing", do: remove("@web-rw"), left: []string{"LAYER-DIR-MISSING @web-rw"}},
		{
			name: "file in place of the directory of a layer", do: write("@side", ""),
			steps: []string{"move @side to lost+found"}, mended: []string{"STRAY @side"},
			left: []string{"LAYER-DIR-KIND @side"}, after: []string{"LAYER-DIR-MISSING @side"},
		},
		{name: "home is missing", do: remove("%"), left: []string{"FOLDER %"}},
		{name: "file in place of the home", do: write("%", ""), left: []string{"FOLDER %"}},
		{name: "layer was being changed", do: breakOff, left: []string{"LAYER-INCOMPLETE @side"}},
		stray("directory of a layer without a record", write("@nobody/diff/file", "text")),
		stray("file among the directories of layers", write("@nobody", "text")),
		stray("symbolic link among the directories of layers", link("/etc", "@nobody")),
		{
			name: "directory of a layer that has none", do: makeDir("@idle-rw"),
			steps: []string{"move @idle-rw to lost+found"}, mended: []string{"STRAY @idle-rw"},
		},
		{name: "bit of a file", depth: fsck.Contents, do: changed(flip), left: []string{"LAYER-CONTENT @top"}},
		{
			name: "file of a layer is missing", depth: fsck.Contents,
			do:   changed(func(t *testing.T, path string) { must(t, os.Remove(path)) }),
			left: []string{"LAYER-CONTENT @top"},
		},
		{
			name: "symbolic link out of the layer in place of a file", depth: fsck.Contents,
			do: changed(func(t *testing.T, path string) {
				must(t, os.Remove(path))
				must(t, os.Symlink("/etc/passwd", path))
			}),
			left: []string{"LAYER-CONTENT @top"},
		},
		{
			name: "removal did not come to its end", do: unwanted,
			steps: []string{
				"end the removal of @web-rw: what is left of it goes to lost+found",
				"end the removal of %-containers/web/settings: what is left of it goes to lost+found",
				"end the removal of %-containers/web/userdata: what is left of it goes to lost+found",
			},
			mended: []string{"TRASH @web-rw", "TRASH %-containers/web/settings", "TRASH %-containers/web/userdata"},
		},
		{
			name: "mount is gone", driver: "overlay", do: unmounted,
			steps:  []string{"forget that layer web-rw is mounted at ROOT/overlay/web-rw/merged"},
			mended: []string{"MOUNT-STALE ROOT/overlay/web-rw/merged"},
		},
		{
			name: "layer in quarantine is whole", depth: fsck.Contents, do: records(func(_ *sample, tx *db.Tx) error { return tx.SetLayerDamage("top", "LAYER-CONTENT") }),
			steps: []string{"let layer top out of quarantine"}, mended: []string{"DAMAGE-MARK @top"},
		},
		{
			name: "layer in quarantine that has no diff is there", do: records(func(_ *sample, tx *db.Tx) error { return tx.SetLayerDamage("web-rw", "LAYER-DIR-MISSING") }),
			steps: []string{"let layer web-rw out of quarantine"}, mended: []string{"DAMAGE-MARK @web-rw"},
		},
		{
			name: "files in quarantine are whole", depth: fsck.Contents, do: records(func(_ *sample, tx *db.Tx) error {
				return errors.Join(tx.SetTarSplitDamage("top", "DATA-SIZE"), tx.SetDataDamage(model.KindImage, "app", "manifest", "DATA-MISSING"))
			}),
			steps:  []string{"let the tar-split of layer top out of quarantine", `let data item "manifest" of image app out of quarantine`},
			mended: []string{"DAMAGE-MARK " + split, "DAMAGE-MARK " + manifest},
		},
		{
			name: "layer in quarantine is not looked at", do: records(func(_ *sample, tx *db.Tx) error { return tx.SetLayerDamage("top", "LAYER-CONTENT") }),
		},
		{name: "leased object is gone", do: leasedAndLost, left: []string{"LEASE-STALE lease"}},
		{name: "lease cannot be read", do: spoiledLease, left: []string{"LEASE-RECORD lease"}},
	}
}

// breakOff applies a diff that ends too early.
func breakOff(t *testing.T, s *sample) {
	store := s.open(t)
	// A file with its content, and a part of the header of the next.
	broken := io.MultiReader(io.LimitReader(diff(t, "more"), 1024), io.LimitReader(diff(t, "and more"), 348))
	if _, err := store.ApplyDiff(t.Context(), "side", broken); err == nil {
		t.Fatal("a broken diff was applied")
	}
	must(t, store.Close())
}

// unwanted leaves over what a container had, as if who deleted it had died
// before the end.
func unwanted(t *testing.T, s *sample) {
	const nobody = 1 << 30 // no process has such an ID
	records(func(s *sample, tx *db.Tx) error {
		_, _, errContainer := tx.DeleteContainer("web")
		_, _, errLayer := tx.DeleteLayer("web-rw")
		return errors.Join(errContainer, errLayer,
			tx.AddTrash(db.Trash{Path: s.named("%/web-rw"), Kind: db.TrashLayer, Dir: "web-rw", ObjectKind: model.KindLayer, ID: "web-rw", PID: nobody}),
			tx.AddTrash(db.Trash{Path: s.named("%-containers/web/settings"), Kind: db.TrashFile, ObjectKind: model.KindContainer, ID: "web", PID: nobody}),
			tx.AddTrash(db.Trash{Path: s.named("%-containers/web/userdata"), Kind: db.TrashTree, ObjectKind: model.KindContainer, ID: "web", PID: nobody}))
	})(t, s)
}

// lease leases an image that has nothing, and returns the UUID of the store.
func lease(t *testing.T, s *sample) string {
	t.Helper()
	store := s.open(t)
	image, err := store.CreateImage(t.Context(), graph.ImageSpec{ID: "leased"})
	must(t, err)
	_, err = store.AddLease(t.Context(), graph.LeaseSpec{ID: "lease", Objects: []model.ID{image.ID}})
	must(t, err)
	must(t, store.Close())
	return store.Info().UUID
}

// leasedAndLost leases an image, and deletes it behind the back of the store.
func leasedAndLost(t *testing.T, s *sample) {
	lease(t, s)
	records(func(_ *sample, tx *db.Tx) error {
		_, _, err := tx.DeleteImage("leased")
		return err
	})(t, s)
}

// spoiledLease damages a lease.
func spoiledLease(t *testing.T, s *sample) {
	uuid := lease(t, s)
	dbtest.PutRun(t, filepath.Join(s.run, db.RunFileName), uuid, "leases", "lease", []byte("garbage"))
}

// unmounted mounts a container, and unmounts it behind the back of the store.
func unmounted(t *testing.T, s *sample) {
	store := s.open(t)
	path, err := store.Mount(t.Context(), "web", graph.MountOptions{})
	must(t, err)
	must(t, store.Close())
	must(t, unix.Unmount(path, 0))
}

// healable is content that is damaged, and in a file that is given as a source.
func healable() []damage {
	brace := func(*testing.T) []byte { return []byte("{}") }
	layer := func(t *testing.T) []byte {
		content, err := io.ReadAll(diff(t, "top"))
		must(t, err)
		return content
	}
	file := func(name string, do func(*testing.T, *sample), code string) damage {
		return damage{
			name: name, depth: fsck.Contents, source: brace, do: do,
			steps: []string{"bring back " + manifest + " from SOURCE"}, mended: []string{code + " " + manifest},
		}
	}
	content := func(name string, do func(t *testing.T, path string)) damage {
		return damage{
			name: name, depth: fsck.Contents, source: layer,
			do:    func(t *testing.T, s *sample) { do(t, s.contentOf("top", "top")) },
			steps: []string{`bring back "top" in FILES-OF-top from SOURCE`}, mended: []string{"LAYER-CONTENT @top"},
		}
	}
	gone := func(name string, do func(*testing.T, *sample)) damage {
		return damage{
			name: name, do: do, source: layer, steps: []string{"bring back all of FILES-OF-top from SOURCE"}, mended: []string{"LAYER-DIR-MISSING @top"},
		}
	}
	return []damage{
		file("missing content file, and a source", remove(manifest), "DATA-MISSING"),
		file("missing content files, and a source", remove("%-images/app"), "DATA-MISSING"),
		file("short content file, and a source", write(manifest, "{"), "DATA-SIZE"),
		file("directory in place of a content file, and a source", makeDir(manifest), "DATA-KIND"),
		file("symbolic link in place of a content file, and a source", link("/etc/passwd", manifest), "DATA-KIND"),
		file("bit of a content file, and a source", func(t *testing.T, s *sample) { flip(t, s.path(manifest)) }, "DATA-DIGEST"),
		content("bit of a file, and a source", flip),
		content("missing file, and a source", func(t *testing.T, path string) { must(t, os.Remove(path)) }),
		content("symbolic link in place of a file, and a source", func(t *testing.T, path string) {
			must(t, os.Remove(path))
			must(t, os.Symlink("/etc/passwd", path))
		}),
		content("directory in place of a file, and a source", func(t *testing.T, path string) {
			must(t, os.Remove(path))
			must(t, os.MkdirAll(path+"/in/it", 0o755))
		}),
		content("bit of a file in quarantine, and a source", func(t *testing.T, path string) { flip(t, path) }).and(
			records(func(_ *sample, tx *db.Tx) error { return tx.SetLayerDamage("top", "LAYER-CONTENT") })),
		gone("directory of a layer is missing, and a source", remove("@top")),
		gone("directory of a layer in quarantine is missing, and a source", remove("@top")).and(
			records(func(_ *sample, tx *db.Tx) error { return tx.SetLayerDamage("top", "LAYER-DIR-MISSING") })),
		{
			name: "file in place of the directory of a layer, and a source", do: write("@top", ""), source: layer,
			steps:  []string{"move @top to lost+found", "bring back all of FILES-OF-top from SOURCE"},
			mended: []string{"STRAY @top", "LAYER-DIR-KIND @top"},
		},
		{
			name: "directory and short name of a layer are missing, and a source", driver: "overlay", source: layer,
			do:     on("top", func(top string) func(*testing.T, *sample) { return all(remove("@top"), remove("overlay/l/"+top)) }),
			steps:  []string{"bring back all of FILES-OF-top from SOURCE", `write "l/SPARE-OF-top:l/LINK-OF-base" into overlay/web-rw/lower`},
			mended: []string{"LAYER-DIR-MISSING @top", "OVERLAY-LOWER overlay/web-rw/lower"},
		},
		{
			name: "content is missing, and a source", driver: "overlay", do: remove("overlay/top/diff"), source: layer,
			steps: []string{"bring back all of FILES-OF-top from SOURCE"}, mended: []string{"OVERLAY-DIFF overlay/top/diff"},
		},
		{
			name: "file in place of the content, and a source", driver: "overlay", do: write("overlay/top/diff", "text"), source: layer,
			steps: []string{"bring back all of FILES-OF-top from SOURCE"}, mended: []string{"OVERLAY-DIFF overlay/top/diff"},
		},
		{
			name: "bit of a file, and a source of something else", depth: fsck.Contents, source: brace,
			do:   func(t *testing.T, s *sample) { flip(t, s.contentOf("top", "top")) },
			left: []string{"LAYER-CONTENT @top"},
		},
	}
}
