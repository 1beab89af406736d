package repair_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

// databaseDamage is what can happen to the database file and to its marker.
func databaseDamage() []damage {
	broken := []string{"DB-FILE csdb.db"}
	return []damage{
		{name: "nothing", do: func(*testing.T, *sample) {}},
		{name: "database is missing", do: remove(db.FileName), left: broken},
		{name: "database is empty", do: write(db.FileName, ""), left: broken},
		{name: "database is something else", do: write(db.FileName, strings.Repeat("no database ", 10_000)), left: broken},
		{name: "directory in place of the database", do: makeDir(db.FileName), left: broken},
		{name: "pipe in place of the database", do: pipe(db.FileName), left: broken},
		{
			name: "database can be read by all", do: chmod(db.FileName, 0o644),
			steps: []string{"set the mode of csdb.db to 0600"}, mended: []string{"DB-MODE csdb.db"},
		},
		{name: "marker is missing", do: remove(db.MarkerName), steps: []string{mend}, mended: []string{"DB-MARKER csdb.id"}},
		{name: "marker is damaged", do: write(db.MarkerName, "{"), steps: []string{mend}, mended: []string{"DB-MARKER csdb.id"}},
		{
			name: "marker of another store", do: write(db.MarkerName, `{"uuid":"8c5b1a0e-0000-4000-8000-000000000000"}`),
			left: []string{"DB-MARKER csdb.id"},
		},
		{
			name: "journal is missing", do: inDatabase(func(t testing.TB, path string) { dbtest.RemoveBucket(t, path, "journal") }),
			steps: []string{mend}, mended: []string{"DB-BUCKET v1/journal"},
		},
		{
			name: "names and counts are missing", do: inDatabase(func(t testing.TB, path string) {
				dbtest.RemoveBucket(t, path, "names/image")
				dbtest.RemoveBucket(t, path, "uses")
			}),
			steps: []string{mend}, mended: []string{"DB-BUCKET v1/names/image", "DB-BUCKET v1/uses"},
		},
		{
			name: "bucket of records is missing", do: inDatabase(func(t testing.TB, path string) { dbtest.RemoveBucket(t, path, "images") }),
			left: []string{"DB-BUCKET v1/images"},
		},
	}
}

// The first two pages of a bbolt file each have a header of 16 bytes, and then a
// description, in which these are the places of the root page, of the freelist
// and of the number of the transaction.
const (
	metaRoot     = 16 + 16
	metaFreelist = 16 + 32
	metaTx       = 16 + 48
)

// pages are those of a database file.
type pages struct {
	content []byte
	size    int
}

// newest returns the place of the meta page that holds.
func (p *pages) newest() int {
	if binary.LittleEndian.Uint64(p.content[metaTx:]) > binary.LittleEndian.Uint64(p.content[p.size+metaTx:]) {
		return 0
	}
	return p.size
}

// page returns the page whose number the newest meta page has.
func (p *pages) page(at int) []byte {
	start := int(binary.LittleEndian.Uint64(p.content[p.newest()+at:])) * p.size
	return p.content[start : start+p.size]
}

func inPages(do func(p *pages)) func(*testing.T, *sample) {
	return func(t *testing.T, s *sample) {
		content, err := os.ReadFile(s.path(db.FileName))
		must(t, err)
		report, err := db.CheckFile(t.Context(), s.path(db.FileName))
		must(t, err)
		p := &pages{content, report.PageSize}
		do(p)
		must(t, os.WriteFile(s.path(db.FileName), p.content, 0o600))
	}
}

// pageDamage is what can happen to the pages of the database, about which a
// repair does nothing: see package rescue.
func pageDamage() []damage {
	return []damage{
		{
			name: "older meta page is damaged", do: inPages(func(p *pages) { p.content[p.size-p.newest()+metaRoot] ^= 1 }),
			left: []string{"DB-META PAGE"},
		},
		{name: "both meta pages are damaged", do: inPages(func(p *pages) { clear(p.content[:2*p.size]) }), left: []string{"DB-FILE csdb.db"}},
		{name: "root page is zeroed", do: inPages(func(p *pages) { clear(p.page(metaRoot)) }), left: []string{"DB-PAGE PAGE"}},
		{name: "list of free pages is zeroed", do: inPages(func(p *pages) { clear(p.page(metaFreelist)) }), left: []string{"DB-FREE PAGE"}},
	}
}

// recordDamage is what can happen to values in the database.
func recordDamage() []damage {
	flipped := func(bucket, key string) func(*testing.T, *sample) {
		return inDatabase(func(t testing.TB, path string) { dbtest.FlipBit(t, path, bucket, key) })
	}
	deleted := func(bucket, key string) func(*testing.T, *sample) {
		return inDatabase(func(t testing.TB, path string) { dbtest.Delete(t, path, bucket, key) })
	}
	replaced := func(bucket, key, value string) func(*testing.T, *sample) {
		return inDatabase(func(t testing.TB, path string) {
			dbtest.Rewrite(t, path, bucket, key, func([]byte) []byte { return []byte(value) })
		})
	}
	mended := func(name string, do func(*testing.T, *sample), findings ...string) damage {
		return damage{name: name, do: do, steps: []string{mend}, mended: findings}
	}
	return []damage{
		{name: "record of a layer is damaged", do: flipped("layers", "side"), left: []string{"DB-RECORD layers/side"}},
		{name: "record of an image is damaged", do: flipped("images", "app"), left: []string{"DB-RECORD images/app"}},
		{name: "record of a container is damaged", do: flipped("containers", "web"), left: []string{"DB-RECORD containers/web"}},
		{name: "record of a data item is damaged", do: flipped("data/image", "app\x00manifest"), left: []string{`DB-RECORD data/image/"app\x00manifest"`}},
		{name: "description of the store is damaged", do: flipped("store", "info"), left: []string{"DB-RECORD store/info"}},

		mended("name of a layer is damaged", flipped("names/layer", "upper"), "DB-RECORD names/layer/upper"),
		mended("name of an image is damaged", flipped("names/image", "app:1"), "DB-RECORD names/image/app:1"),
		mended("owner of a file is damaged", flipped("index/files", "vfs"), "").onFile(manifest),
		mended("count of uses is damaged", flipped("uses", "base"), "DB-RECORD uses/base"),
		mended("sums are damaged", flipped("store", "usage"), "DB-RECORD store/usage"),
		mended("journal is damaged", flipped("journal", "\x00\x00\x00\x00\x00\x00\x00\x02"), `DB-RECORD journal/"\x00\x00\x00\x00\x00\x00\x00\x02"`),

		mended("name is missing", deleted("names/layer", "upper"), "DB-INDEX names/layer/upper"),
		mended("name means another", replaced("names/layer", "upper", "\x64side"), "DB-INDEX names/layer/upper", "DB-INDEX names/layer/upper"),
		mended("name of nobody", inDatabase(func(t testing.TB, path string) {
			dbtest.Put(t, path, "names/image", "other", []byte{1, 0, 0, 0, 0})
			dbtest.Rewrite(t, path, "names/image", "other", func([]byte) []byte { return []byte("\x66nobody") })
		}), "DB-INDEX names/image/other"),
		mended("child is missing", deleted("index/children", "base\x00side"), `DB-INDEX index/children/"base\x00side"`, "DB-COUNT uses/base"),
		mended("child is missing that counts", deleted("index/children", "top\x00web-rw"), `DB-INDEX index/children/"top\x00web-rw"`, "DB-COUNT uses/top"),
		mended("image of a layer is missing", deleted("index/layer-images", "top\x00app"), `DB-INDEX index/layer-images/"top\x00app"`, "DB-COUNT uses/top"),
		mended("container of nobody", inDatabase(func(t testing.TB, path string) {
			dbtest.Put(t, path, "index/image-containers", "tool\x00nobody", nil)
		}), `DB-INDEX index/image-containers/"tool\x00nobody"`),
		mended("count of uses is missing", deleted("uses", "base"), "DB-COUNT uses/base", "DB-COUNT store/usage"),
		mended("count of uses is wrong", replaced("uses", "side", "\x07"), "DB-COUNT uses/side"),
		mended("sums are missing", deleted("store", "usage"), "DB-COUNT store/usage"),
		mended("needed layer is to be removed", records(func(s *sample, tx *db.Tx) error {
			return tx.AddTrash(db.Trash{Path: s.named("%/top"), Kind: db.TrashLayer, Dir: "top", ObjectKind: model.KindLayer, ID: "top"})
		}), "DB-DOOMED trash/%/top"),
		mended("notes about other stores are of no use", records(func(_ *sample, tx *db.Tx) error {
			err := errors.Join(
				tx.CreateLayer(&model.Layer{ID: "gone"}), tx.AddHold(db.Hold{Kind: model.KindLayer, ID: "gone", Store: "uuid"}),
				tx.SetElsewhere(db.Elsewhere{Kind: model.KindImage, ID: "far", Store: "uuid"}))
			if err == nil {
				_, _, err = tx.DeleteLayer("gone")
			}
			return err
		}), `REF-HOLD holds/"layer\x00gone\x00uuid"`, `REF-PLACE elsewhere/"image\x00far"`),
		mended("needed file is to be removed", doomManifest, "DB-DOOMED trash/"+manifest),
	}
}

// onFile makes of a case the one that the index entry of a content file is
// damaged, whose key has the driver in it.
func (d damage) onFile(name string) damage {
	d.do = func(t *testing.T, s *sample) { dbtest.FlipBit(t, s.path(db.FileName), "index/files", s.named(name)) }
	d.mended = []string{"DB-RECORD index/files/" + name}
	return d
}

// referenceDamage are references that lead nowhere, or in a circle.
func referenceDamage() []damage {
	forced := func(id model.ID) func(*testing.T, *sample) {
		return func(t *testing.T, s *sample) {
			store := s.open(t)
			must(t, store.Delete(t.Context(), id))
			must(t, store.Close())
		}
	}
	shared := []string{"REF-SHARED containers/idle", "REF-SHARED containers/web"}
	return []damage{
		{name: "layer was deleted by force", do: forced(model.LayerID("top")), left: []string{"REF-LAYER images/app", "REF-PARENT layers/web-rw"}},
		{name: "image was deleted by force", do: forced(model.ImageID("tool")), left: []string{"REF-IMAGE containers/idle"}},
		{name: "container's layer was deleted by force", do: forced(model.LayerID("idle-rw")), left: []string{"REF-LAYER containers/idle"}},
		{
			name: "record of an image is missing", do: inDatabase(func(t testing.TB, path string) { dbtest.Delete(t, path, "images", "tool") }),
			steps: []string{mend},
			mended: []string{
				"DB-COUNT store/usage", "DB-INDEX names/image/tool:1", `DB-INDEX index/layer-images/"side\x00tool"`,
				`DB-INDEX index/digest/image/"` + digest.FromString("{}").String() + `\x00tool"`,
			},
			left: []string{`DB-ORPHAN data/image/"tool\x00manifest"`, "REF-IMAGE containers/idle"},
		},
		{
			name: "layers in a circle", do: inDatabase(func(t testing.TB, path string) {
				dbtest.Rewrite(t, path, "layers", "top", func(content []byte) []byte {
					return bytes.Replace(content, []byte("\x64base"), []byte("\x66web-rw"), 1)
				})
			}),
			steps:  []string{mend},
			mended: []string{`DB-INDEX index/children/"base\x00top"`, `DB-INDEX index/children/"web-rw\x00top"`},
			left:   []string{"REF-CYCLE layers/top"},
		},
		{
			name: "containers share a layer", do: func(t *testing.T, s *sample) {
				shareLayer(t, s)
				dbtest.Delete(t, s.path(db.FileName), "index/layer-containers", "idle-rw\x00idle")
				dbtest.Put(t, s.path(db.FileName), "index/layer-containers", "web-rw\x00idle", nil)
			},
			steps: []string{mend}, mended: []string{"DB-COUNT uses/idle-rw", "DB-COUNT uses/web-rw"}, left: shared,
		},
		// Who has a layer is looked up in an index, and so is not seen before it
		// is right.
		{
			name: "containers share a layer, and an index does not tell", do: shareLayer,
			steps:  []string{mend},
			mended: []string{`DB-INDEX index/layer-containers/"idle-rw\x00idle"`, `DB-INDEX index/layer-containers/"web-rw\x00idle"`},
			after:  shared,
		},
	}
}

// shareLayer gives container idle the layer of container web.
func shareLayer(t *testing.T, s *sample) {
	dbtest.Rewrite(t, s.path(db.FileName), "containers", "idle", func(content []byte) []byte {
		return bytes.Replace(content, []byte("\x67idle-rw"), []byte("\x66web-rw"), 1)
	})
}

// doomManifest puts a file into the trash that is needed, which package db does
// not do.
func doomManifest(t *testing.T, s *sample) {
	path, needed := s.path(db.FileName), s.named(manifest)
	other := strings.ToUpper(needed)
	records(func(_ *sample, tx *db.Tx) error {
		return tx.AddTrash(db.Trash{Path: other, Kind: db.TrashFile, ObjectKind: model.KindImage, ID: "app"})
	})(t, s)
	dbtest.Put(t, path, "trash", needed, dbtest.Get(t, path, "trash", other))
	dbtest.Delete(t, path, "trash", other)
	dbtest.Rewrite(t, path, "trash", needed, func(content []byte) []byte {
		return bytes.Replace(content, []byte(other), []byte(needed), 1)
	})
}
