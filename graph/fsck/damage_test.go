package fsck_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

// damage is something that happens to a store, and what a check must say about
// it: lines of severity, code and place, and nothing else.
type damage struct {
	name string
	do   func(t *testing.T, s *sample)
	want []string
	// depth is that of the check, "" for the default.
	depth fsck.Depth
}

// path returns the path of something in the root. A "%" in it stands for the
// driver.
func (s *sample) path(name string) string { return filepath.Join(s.root, s.named(name)) }

func (s *sample) named(name string) string { return strings.ReplaceAll(name, "%", s.driver) }

// dir returns the path of a layer's directory in the root.
func (s *sample) dir(layer string) string {
	if s.driver == "vfs" {
		return "vfs/dir/" + layer
	}
	return s.driver + "/" + layer
}

func (s *sample) database() string { return filepath.Join(s.root, db.FileName) }

// Deeds that many cases have in common.

func remove(name string) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) { must(t, os.RemoveAll(s.path(name))) }
}

func removeLayer(layer string) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) { must(t, os.RemoveAll(s.path(s.dir(layer)))) }
}

func replace(name string, content string, mode os.FileMode) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) {
		must(t, os.RemoveAll(s.path(name)))
		must(t, os.MkdirAll(filepath.Dir(s.path(name)), 0o700))
		must(t, os.WriteFile(s.path(name), []byte(content), mode))
		must(t, os.Chmod(s.path(name), mode))
	}
}

func makeDir(name string) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) {
		must(t, os.RemoveAll(s.path(name)))
		must(t, os.MkdirAll(s.path(name), 0o700))
	}
}

func symlink(target, name string) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) {
		must(t, os.RemoveAll(s.path(name)))
		must(t, os.Symlink(target, s.path(name)))
	}
}

func chmod(name string, mode os.FileMode) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) { must(t, os.Chmod(s.path(name), mode)) }
}

// inDatabase changes the database behind its back.
func inDatabase(do func(t testing.TB, path string)) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) { do(t, s.database()) }
}

// forced deletes an object whoever needs it.
func forced(id model.ID) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) {
		must(t, s.open(t).Delete(t.Context(), id))
		s.closeStore(t)
	}
}

// linkOf returns the short name of a layer of driver overlay.
func (s *sample) linkOf(t *testing.T, layer string) string {
	t.Helper()
	name, err := os.ReadFile(s.path("overlay/" + layer + "/link"))
	must(t, err)
	return string(name)
}

const (
	config   = "%-images/app/=c2hhMjU2OmNvbmZpZw" // of key sha256:config
	manifest = "%-images/app/manifest"
	split    = "%-layers/middle.tar-split.gz"
)

func contentDamage() []damage {
	return []damage{
		{name: "content file is missing", do: remove(manifest), want: []string{"damage DATA-MISSING " + manifest}},
		{name: "all content of an image is missing", do: remove("%-images/app"), want: []string{"damage DATA-MISSING " + manifest, "damage DATA-MISSING " + config}},
		{name: "content file is empty", do: replace(manifest, "", 0o600), want: []string{"damage DATA-SIZE " + manifest}},
		{name: "content file is short", do: replace(manifest, "{", 0o600), want: []string{"damage DATA-SIZE " + manifest}},
		{name: "content file is long", do: replace(config, strings.Repeat("x", 1000), 0o600), want: []string{"damage DATA-SIZE " + config}},
		{name: "content file can be read by its group", do: chmod(manifest, 0o640), want: []string{"repairable DATA-ACCESS " + manifest}},
		{name: "content file can be read by all", do: chmod(manifest, 0o644), want: []string{"repairable DATA-ACCESS " + manifest}},
		{
			name: "content file belongs to somebody else", do: func(t *testing.T, s *sample) { must(t, os.Chown(s.path(manifest), 12345, -1)) },
			want: []string{"repairable DATA-OWNER " + manifest},
		},
		{name: "directory in place of a content file", do: makeDir(manifest), want: []string{"damage DATA-KIND " + manifest}},
		{name: "symbolic link in place of a content file", do: symlink("/etc/passwd", manifest), want: []string{"damage DATA-KIND " + manifest}},
		{name: "pipe in place of a content file", do: func(t *testing.T, s *sample) {
			must(t, os.Remove(s.path(manifest)))
			must(t, unix.Mkfifo(s.path(manifest), 0o600))
		}, want: []string{"damage DATA-KIND " + manifest}},
		{name: "symbolic link in place of an object's directory", do: func(t *testing.T, s *sample) {
			must(t, os.Rename(s.path("%-images/app"), filepath.Join(filepath.Dir(s.root), "app")))
			must(t, os.Symlink(filepath.Join(filepath.Dir(s.root), "app"), s.path("%-images/app")))
		}, want: []string{"damage DATA-KIND " + manifest, "damage DATA-KIND " + config, "repairable STRAY %-images/app"}},
		{name: "tar-split is missing", do: remove(split), want: []string{"damage DATA-MISSING " + split}},
		{name: "tar-split is short", do: replace(split, "?", 0o600), want: []string{"damage DATA-SIZE " + split}},
		{name: "layer's data item is missing", do: remove("%-layers/base/notes"), want: []string{"damage DATA-MISSING %-layers/base/notes"}},
		{name: "container's data item is short", do: replace("%-containers/web/settings", "", 0o600), want: []string{"damage DATA-SIZE %-containers/web/settings"}},
	}
}

func layerDamage() []damage {
	return []damage{
		{name: "layer's directory is missing", do: removeLayer("middle"), want: []string{"damage LAYER-DIR-MISSING middle"}},
		{name: "container's layer is missing", do: removeLayer("web-rw"), want: []string{"damage LAYER-DIR-MISSING web-rw"}},
		{
			name: "file in place of a layer's directory", do: func(t *testing.T, s *sample) { replace(s.dir("middle"), "", 0o600)(t, s) },
			want: []string{"damage LAYER-DIR-KIND middle", "repairable STRAY middle"},
		},
		{name: "home is missing", do: remove("%"), want: []string{"damage FOLDER %"}},
		{name: "file in place of the home", do: replace("%", "", 0o600), want: []string{"damage FOLDER %"}},
		{name: "layer was being changed", do: func(t *testing.T, s *sample) {
			// What a crash leaves over, since the tar stream ends too early.
			whole := diff(t, "more")
			s.open(t)
			broken := make([]byte, whole.Len()-1700)
			_, err := whole.Read(broken)
			must(t, err)
			if _, err := s.store.ApplyDiff(t.Context(), "side", strings.NewReader(string(broken))); err == nil {
				t.Fatal("a broken diff was applied")
			}
			s.closeStore(t)
		}, want: []string{"damage LAYER-INCOMPLETE side"}},
	}
}

func debris() []damage {
	return []damage{
		{name: "stray directory of a layer", do: func(t *testing.T, s *sample) { makeDir(s.dir("stray"))(t, s) }, want: []string{"repairable STRAY stray"}},
		{name: "stray directory of a layer that has none", do: func(t *testing.T, s *sample) { makeDir(s.dir("idle-rw"))(t, s) }, want: []string{"repairable STRAY idle-rw"}},
		{name: "stray file in the home", do: func(t *testing.T, s *sample) { replace(s.dir("a:b"), "", 0o600)(t, s) }, want: []string{"repairable STRAY a:b"}},
		{name: "stray content file", do: replace("%-layers/stray", "content", 0o600), want: []string{"repairable STRAY %-layers/stray"}},
		{name: "stray content file of an object", do: replace("%-images/app/stray", "content", 0o600), want: []string{"repairable STRAY %-images/app/stray"}},
		{name: "unfinished content file", do: replace("%-images/app/.tmp-other", "con", 0o600), want: []string{"repairable STRAY %-images/app/.tmp-other"}},
		{name: "unfinished content file of an item that exists", do: replace("%-images/app/.tmp-manifest", "con", 0o600), want: []string{"repairable STRAY %-images/app/.tmp-manifest"}},
		{name: "stray link", do: symlink("/etc", "%-images/link"), want: []string{"repairable STRAY %-images/link"}},
		{name: "stray directory for users", do: replace("%-containers/gone/userdata/state.json", "{}", 0o600), want: []string{"repairable STRAY %-containers/gone/userdata"}},
		{name: "files of engines", do: func(t *testing.T, s *sample) {
			replace("libpod/bolt_state.db", "", 0o644)(t, s)
			replace("networks/podman.json", "{}", 0o644)(t, s)
			replace("%-containers/web/userdata/deep/er", "x", 0o644)(t, s)
			replace("storage.lock", "", 0o644)(t, s)
		}},
	}
}

func overlayDamage() []damage {
	return []damage{
		{name: "content is missing", do: remove("overlay/side/diff"), want: []string{"damage OVERLAY-DIFF overlay/side/diff"}},
		{name: "file in place of the content", do: replace("overlay/side/diff", "", 0o600), want: []string{"damage OVERLAY-DIFF overlay/side/diff"}},
		{name: "work directory is missing", do: remove("overlay/web-rw/work"), want: []string{"repairable OVERLAY-PARTS overlay/web-rw/work"}},
		{name: "mount point is missing", do: remove("overlay/web-rw/merged"), want: []string{"repairable OVERLAY-PARTS overlay/web-rw/merged"}},
		{name: "file link is missing", do: remove("overlay/middle/link"), want: []string{"repairable OVERLAY-LINK overlay/middle/link"}},
		{name: "file link is empty", do: replace("overlay/middle/link", "", 0o644), want: []string{"repairable OVERLAY-LINK overlay/middle/link"}},
		{name: "file link is no short name", do: replace("overlay/middle/link", "../../../../etc/passwd", 0o644), want: []string{"repairable OVERLAY-LINK overlay/middle/link"}},
		{name: "file link is a directory", do: makeDir("overlay/middle/link"), want: []string{"repairable OVERLAY-LINK overlay/middle/link"}},
		{name: "file link has an unknown name", do: replace("overlay/middle/link", strings.Repeat("A", 26), 0o644), want: []string{"repairable OVERLAY-LINK overlay/middle/link"}},
		{name: "file link has the name of another layer", do: func(t *testing.T, s *sample) {
			replace("overlay/middle/link", s.linkOf(t, "side"), 0o644)(t, s)
		}, want: []string{"repairable OVERLAY-LINK overlay/middle/link"}},
		{name: "short name is missing", do: func(t *testing.T, s *sample) {
			remove("overlay/l/"+s.linkOf(t, "middle"))(t, s)
		}, want: []string{"repairable OVERLAY-NAME overlay/l/LINK-OF-middle"}},
		{name: "short name leads to another layer", do: func(t *testing.T, s *sample) {
			symlink("../side/diff", "overlay/l/"+s.linkOf(t, "middle"))(t, s)
		}, want: []string{"repairable OVERLAY-NAME overlay/l/LINK-OF-middle"}},
		{name: "short name leads out", do: func(t *testing.T, s *sample) {
			symlink("/etc", "overlay/l/"+s.linkOf(t, "middle"))(t, s)
		}, want: []string{"repairable OVERLAY-NAME overlay/l/LINK-OF-middle"}},
		{name: "short name is a file", do: func(t *testing.T, s *sample) {
			replace("overlay/l/"+s.linkOf(t, "middle"), "", 0o600)(t, s)
		}, want: []string{"repairable OVERLAY-NAME overlay/l/LINK-OF-middle"}},
		{name: "second short name is harmless", do: symlink("../middle/diff", "overlay/l/"+strings.Repeat("B", 26))},
		{name: "stray short name", do: symlink("../gone/diff", "overlay/l/"+strings.Repeat("B", 26)), want: []string{"repairable STRAY overlay/l/" + strings.Repeat("B", 26)}},
		{name: "stray file among short names", do: replace("overlay/l/notes", "", 0o600), want: []string{"repairable STRAY overlay/l/notes"}},
		{name: "list of ancestors is missing", do: remove("overlay/top/lower"), want: []string{"repairable OVERLAY-LOWER overlay/top/lower"}},
		{name: "list of ancestors is empty", do: replace("overlay/top/lower", "", 0o644), want: []string{"repairable OVERLAY-LOWER overlay/top/lower"}},
		{name: "list of ancestors is short", do: func(t *testing.T, s *sample) {
			replace("overlay/top/lower", "l/"+s.linkOf(t, "middle"), 0o644)(t, s)
		}, want: []string{"repairable OVERLAY-LOWER overlay/top/lower"}},
		{name: "list of ancestors has another layer", do: func(t *testing.T, s *sample) {
			replace("overlay/top/lower", "l/"+s.linkOf(t, "side")+":l/"+s.linkOf(t, "base"), 0o644)(t, s)
		}, want: []string{"repairable OVERLAY-LOWER overlay/top/lower"}},
		{name: "list of ancestors leads out", do: replace("overlay/top/lower", "/etc:../..", 0o644), want: []string{"repairable OVERLAY-LOWER overlay/top/lower"}},
		{name: "list of ancestors of a base layer", do: func(t *testing.T, s *sample) {
			replace("overlay/base/lower", "l/"+s.linkOf(t, "side"), 0o644)(t, s)
		}, want: []string{"repairable OVERLAY-LOWER overlay/base/lower"}},
		{name: "short names are all missing", do: remove("overlay/l"), want: []string{
			"repairable OVERLAY-NAME overlay/l/LINK-OF-base", "repairable OVERLAY-NAME overlay/l/LINK-OF-middle",
			"repairable OVERLAY-NAME overlay/l/LINK-OF-side", "repairable OVERLAY-NAME overlay/l/LINK-OF-top",
			"repairable OVERLAY-NAME overlay/l/LINK-OF-web-rw",
		}},
		{name: "interrupted creation", do: func(t *testing.T, s *sample) {
			makeDir("overlay/.part-new/diff")(t, s)
			symlink("../new/diff", "overlay/l/"+strings.Repeat("C", 26))(t, s)
		}, want: []string{"repairable STRAY overlay/.part-new", "repairable STRAY overlay/l/" + strings.Repeat("C", 26)}},
	}
}

func databaseDamage() []damage {
	return []damage{
		{
			name: "layer's record is damaged", do: inDatabase(func(t testing.TB, path string) { dbtest.FlipBit(t, path, "layers", "middle") }),
			want: []string{"damage DB-RECORD layers/middle"},
		},
		{
			name: "image's record is damaged", do: inDatabase(func(t testing.TB, path string) { dbtest.FlipBit(t, path, "images", "app") }),
			want: []string{"damage DB-RECORD images/app"},
		},
		{
			name: "container's record is damaged", do: inDatabase(func(t testing.TB, path string) { dbtest.FlipBit(t, path, "containers", "web") }),
			want: []string{"damage DB-RECORD containers/web"},
		},
		{
			name: "data item's record is damaged", do: inDatabase(func(t testing.TB, path string) { dbtest.FlipBit(t, path, "data/image", "app\x00manifest") }),
			want: []string{`damage DB-RECORD data/image/"app\x00manifest"`},
		},
		{
			name: "description is damaged", do: inDatabase(func(t testing.TB, path string) { dbtest.FlipBit(t, path, "store", "info") }),
			want: []string{"damage DB-RECORD store/info"},
		},
		{
			name: "index entry is damaged", do: inDatabase(func(t testing.TB, path string) { dbtest.FlipBit(t, path, "names/image", "tool:2") }),
			want: []string{"repairable DB-RECORD names/image/tool:2"},
		},
		{
			name: "index entry is missing", do: inDatabase(func(t testing.TB, path string) { dbtest.Delete(t, path, "names/image", "tool:2") }),
			want: []string{"repairable DB-INDEX names/image/tool:2"},
		},
		{name: "digest is not indexed", do: inDatabase(func(t testing.TB, path string) {
			dbtest.Delete(t, path, "index/layer-images", "top\x00app")
		}), want: []string{`repairable DB-COUNT uses/top`, `repairable DB-INDEX index/layer-images/"top\x00app"`}},
		{name: "stray index entry", do: inDatabase(func(t testing.TB, path string) {
			dbtest.Put(t, path, "index/image-containers", "tool\x00nobody", nil)
		}), want: []string{`repairable DB-INDEX index/image-containers/"tool\x00nobody"`}},
		{
			name: "sums are damaged", do: inDatabase(func(t testing.TB, path string) { dbtest.FlipBit(t, path, "store", "usage") }),
			want: []string{"repairable DB-RECORD store/usage"},
		},
		{
			name: "image's record is missing", do: inDatabase(func(t testing.TB, path string) { dbtest.Delete(t, path, "images", "tool") }),
			want: []string{
				`damage DB-ORPHAN data/image/"tool\x00manifest"`, `damage DB-ORPHAN data/image/"tool\x00sha256:config"`,
				"damage REF-IMAGE containers/idle", "repairable DB-COUNT store/usage",
				`repairable DB-INDEX index/digest/image/"sha256:f56b845598815bde1ec8037879b38fa0790ea510273e2f2d4341fb61a567a594\x00tool"`,
				`repairable DB-INDEX index/layer-images/"side\x00tool"`, "repairable DB-INDEX names/image/tool:2",
			},
		},
		{name: "layer is its own ancestor", do: inDatabase(func(t testing.TB, path string) {
			dbtest.Rewrite(t, path, "layers", "middle", func(content []byte) []byte {
				return bytes.Replace(content, []byte("\x64base"), []byte("\x63top"), 1)
			})
		}), want: []string{
			"damage REF-CYCLE layers/middle",
			`repairable DB-INDEX index/children/"base\x00middle"`, `repairable DB-INDEX index/children/"top\x00middle"`,
		}},
		{name: "containers share a layer", do: inDatabase(func(t testing.TB, path string) {
			dbtest.Rewrite(t, path, "containers", "idle", func(content []byte) []byte {
				return bytes.Replace(content, []byte("\x67idle-rw"), []byte("\x66web-rw"), 1)
			})
			dbtest.Delete(t, path, "index/layer-containers", "idle-rw\x00idle")
			dbtest.Put(t, path, "index/layer-containers", "web-rw\x00idle", nil)
		}), want: []string{
			"damage REF-SHARED containers/idle", "damage REF-SHARED containers/web",
			"repairable DB-COUNT uses/idle-rw", "repairable DB-COUNT uses/web-rw",
		}},
		{name: "needed layer is to be removed", do: func(t *testing.T, s *sample) {
			s.update(t, func(tx *db.Tx) error {
				return tx.AddTrash(db.Trash{Path: s.named("%/top"), Kind: db.TrashLayer, Dir: "top", ObjectKind: model.KindLayer, ID: "top"})
			})
		}, want: []string{"repairable DB-DOOMED trash/%/top"}},
		{name: "layer deleted by force", do: forced(model.LayerID("top")), want: []string{"damage REF-LAYER images/app", "damage REF-PARENT layers/web-rw"}},
		{name: "image deleted by force", do: forced(model.ImageID("tool")), want: []string{"damage REF-IMAGE containers/idle"}},
		{name: "container's layer deleted by force", do: forced(model.LayerID("idle-rw")), want: []string{"damage REF-LAYER containers/idle"}},
		{name: "notes about other stores are of no use", do: func(t *testing.T, s *sample) {
			s.update(t, func(tx *db.Tx) error {
				must(t, errors.Join(
					tx.CreateLayer(&model.Layer{ID: "gone"}), tx.AddHold(db.Hold{Kind: model.KindLayer, ID: "gone", Store: "uuid"}),
					tx.SetElsewhere(db.Elsewhere{Kind: model.KindImage, ID: "far", Store: "uuid"})))
				_, _, err := tx.DeleteLayer("gone")
				return err
			})
		}, want: []string{`repairable REF-HOLD holds/"layer\x00gone\x00uuid"`, `repairable REF-PLACE elsewhere/"image\x00far"`}},
		{
			name: "bucket is missing", do: inDatabase(func(t testing.TB, path string) { dbtest.RemoveBucket(t, path, "journal") }),
			want: []string{"repairable DB-BUCKET v1/journal"},
		},
		{
			name: "bucket of records is missing", do: inDatabase(func(t testing.TB, path string) { dbtest.RemoveBucket(t, path, "images") }),
			want: []string{"damage DB-BUCKET v1/images"},
		},
		{name: "database can be read by all", do: chmod(db.FileName, 0o640), want: []string{"repairable DB-MODE csdb.db"}},
		{name: "marker is missing", do: remove(db.MarkerName), want: []string{"repairable DB-MARKER csdb.id"}},
		{name: "marker is damaged", do: replace(db.MarkerName, "{", 0o600), want: []string{"repairable DB-MARKER csdb.id"}},
		{name: "marker of another store", do: func(t *testing.T, s *sample) {
			text, err := json.Marshal(map[string]string{"uuid": "8c5b1a0e-0000-4000-8000-000000000000"})
			must(t, err)
			replace(db.MarkerName, string(text), 0o600)(t, s)
		}, want: []string{"damage DB-MARKER csdb.id"}},
		{name: "database is missing", do: remove(db.FileName), want: []string{"damage DB-FILE csdb.db"}},
		{name: "database is empty", do: replace(db.FileName, "", 0o600), want: []string{"damage DB-FILE csdb.db"}},
		{name: "database is something else", do: replace(db.FileName, strings.Repeat("no database ", 10_000), 0o600), want: []string{"damage DB-FILE csdb.db"}},
		{name: "directory in place of the database", do: makeDir(db.FileName), want: []string{"damage DB-FILE csdb.db"}},
		{name: "pipe in place of the database", do: func(t *testing.T, s *sample) {
			must(t, os.Remove(s.database()))
			must(t, unix.Mkfifo(s.database(), 0o600))
		}, want: []string{"damage DB-FILE csdb.db"}},
	}
}

func TestEachDamageIsFoundAndNothingElse(t *testing.T) {
	common := [][]damage{contentDamage(), layerDamage(), debris(), databaseDamage()}
	for _, driver := range drivers() {
		t.Run(driver, func(t *testing.T) {
			original := newSample(t, driver)
			cases := common
			if driver == "overlay" {
				cases = append(cases, overlayDamage())
			}
			for _, group := range cases {
				for _, d := range group {
					t.Run(d.name, func(t *testing.T) { d.test(t, copyOf(t, original)) })
				}
			}
		})
	}
}

func (d *damage) test(t *testing.T, s *sample) {
	var want []string
	// What is in the place of a short name is gone when the damage is done.
	names := make(map[string]string)
	if s.driver == "overlay" {
		for _, layer := range []string{"base", "middle", "side", "top", "web-rw"} {
			names[layer] = s.linkOf(t, layer)
		}
	}
	for _, line := range d.want {
		line = s.named(line)
		for layer, name := range names {
			if strings.HasSuffix(line, "LINK-OF-"+layer) {
				line = strings.ReplaceAll(line, "LINK-OF-"+layer, name)
			}
		}
		fields := strings.SplitN(line, " ", 3)
		if !strings.Contains(fields[2], "/") && fields[1] != "FOLDER" && !strings.HasPrefix(fields[1], "DB-") {
			fields[2] = s.dir(fields[2])
		}
		want = append(want, strings.Join(fields, " "))
	}
	d.do(t, s)
	report := check(t.Context(), t, fsck.Options{Root: s.root, RunRoot: s.runRoot, Depth: d.depth})
	wantFindings(t, report, want...)
	for _, f := range report.Findings {
		wantExplained(t, &f)
	}
}

// wantExplained looks whether a finding says all that it should.
func wantExplained(t *testing.T, f *fsck.Finding) {
	t.Helper()
	if f.Place == "" || f.Expected == "" || f.Found == "" || f.Effect == "" || len(f.Remedies) == 0 || f.Images == nil || f.Containers == nil {
		t.Errorf("something is missing in %+v", f)
	}
	for _, remedy := range f.Remedies {
		if strings.ContainsAny(remedy, "{}") {
			t.Errorf("remedy %q is not complete", remedy)
		}
	}
}
