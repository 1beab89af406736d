package db_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/opencontainers/go-digest"
	bolt "go.etcd.io/bbolt"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/model"
)

// damage is something that can be wrong with a database, and what Check says
// of it.
type damage struct {
	name string
	do   func(*bolt.Tx) error
	want []string // codes and places
}

// put makes an entry with an empty value.
func put(bucket, key string) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error { return inBucket(tx, bucket).Put([]byte(key), nil) }
}

func remove(bucket, key string) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error { return inBucket(tx, bucket).Delete([]byte(key)) }
}

// record stores a record with a correct checksum.
func record(bucket, key string, r any) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error { return db.PutRecord(inBucket(tx, bucket), bucket, key, r) }
}

// flip changes a bit in the middle of a value.
func flip(bucket, key string) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		value := bytes.Clone(inBucket(tx, bucket).Get([]byte(key)))
		value[len(value)/2] ^= 1
		return inBucket(tx, bucket).Put([]byte(key), value)
	}
}

func sequence(bucket string, n uint64) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error { return inBucket(tx, bucket).SetSequence(n) }
}

func all(fns ...func(*bolt.Tx) error) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		for _, fn := range fns {
			if err := fn(tx); err != nil {
				return err
			}
		}
		return nil
	}
}

// top is layer top of fill with a change.
func top(change func(*model.Layer)) *model.Layer {
	l := &model.Layer{ID: "top", Parent: "base", Created: fillTime, Seq: 2, Incomplete: true, TOCDigest: digest.FromString("toc")}
	change(l)
	return l
}

var (
	diffKey     = digest.FromString("diff").String()
	tocKey      = digest.FromString("toc").String()
	imageKey    = digest.FromString("image").String()
	manifestKey = digest.FromString("manifest").String()
)

// baseHold is the place of a hold that fill makes.
const baseHold = `holds/"layer\x00base\x00uuid-of-another"`

// damages are done to a database that fill has filled.
var damages = []damage{
	{"unknown bucket", func(tx *bolt.Tx) error {
		return second(tx.Bucket([]byte("v1")).CreateBucket([]byte("other")))
	}, []string{"bucket v1/other"}},
	{"value beside the buckets", func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("v1")).Put([]byte("other"), nil)
	}, []string{"bucket v1/other"}},
	{"value instead of a bucket of a program", put("apps", "value"), []string{"bucket apps/value"}},
	{"bucket among the records", func(tx *bolt.Tx) error {
		return second(inBucket(tx, "layers").CreateBucket([]byte("bucket")))
	}, []string{"bucket layers/bucket"}},
	{"bucket instead of an index entry", all(remove("index/children", "base\x00top"), func(tx *bolt.Tx) error {
		return second(inBucket(tx, "index/children").CreateBucket([]byte("base\x00top")))
	}), []string{`bucket index/children/"base\x00top"`}},

	{"layer flipped", flip("layers", "top"), []string{"record layers/top"}},
	{"image flipped", flip("images", "image"), []string{"record images/image"}},
	{"container flipped", flip("containers", "container"), []string{"record containers/container"}},
	{"data item flipped", flip("data/image", "image\x00config"), []string{`record data/image/"image\x00config"`}},
	{"data item with a manifest flipped", flip("data/image", "image\x00manifest"), []string{`record data/image/"image\x00manifest"`}},
	{"name flipped", flip("names/layer", "base-name"), []string{"record names/layer/base-name"}},
	{"owner of a file flipped", flip("index/files", "vfs-images/image/config"), []string{"record index/files/vfs-images/image/config"}},
	{"uses flipped", flip("uses", "top"), []string{"record uses/top"}},
	{"sums flipped", flip("store", "usage"), []string{"record store/usage"}},
	{"trash flipped", flip("trash", "vfs/dir/gone"), []string{"record trash/vfs/dir/gone"}},
	{"journal flipped", flip("journal", "\x00\x00\x00\x00\x00\x00\x00\x01"), []string{`record journal/"\x00\x00\x00\x00\x00\x00\x00\x01"`}},
	{"program's value flipped", func(tx *bolt.Tx) error {
		app := inBucket(tx, "apps").Bucket([]byte("com.example.engine")).Bucket([]byte("inner")).Bucket([]byte("innermost"))
		return app.Put([]byte("key"), []byte("no value with a checksum"))
	}, []string{"record apps/com.example.engine/inner/innermost/key"}},
	{"layer under another's ID", record("layers", "top", top(func(l *model.Layer) { l.ID = "other" })), []string{"record layers/top"}},
	{"invalid ID", all(record("layers", ".x", &model.Layer{ID: ".x"}), record("store", "usage", &db.Usage{
		Layers: 4, Images: 1, Containers: 1, LayerBytes: 123_456, DataItems: 4, DataBytes: 100, TarSplitBytes: 800,
	})), []string{"record layers/.x"}},
	{"manifests other than those of the data items", all(record("images", "image", &model.Image{
		ID: "image", Names: []string{"docker.io/library/one:latest"}, Seq: 1, TopLayer: "top", MappedTopLayers: []model.LayerID{"base", "far"},
		Digest: digest.FromString("image"),
	}), remove("index/digest/image", manifestKey+"\x00image")), []string{"record images/image"}},
	{"data item with another key", record("data/container", "container\x00config.json", &model.Data{
		Key: "other", Seq: 1, Content: contentOf("vfs-containers/container/config.json", 40),
	}), []string{`record data/container/"container\x00config.json"`}},
	{"trash under another path", record("trash", "vfs/dir/gone", &db.Trash{Path: "other", Kind: db.TrashTree}), []string{"record trash/vfs/dir/gone"}},
	{"journal entry with another number", record("journal", "\x00\x00\x00\x00\x00\x00\x00\x01", &db.JournalEntry{Seq: 2}), []string{
		`record journal/"\x00\x00\x00\x00\x00\x00\x00\x01"`,
	}},
	{"unknown value about the store", record("store", "other", new(uint64(1))), []string{"record store/other"}},

	{"name missing", remove("names/image", "docker.io/library/one:latest"), []string{"index names/image/docker.io/library/one:latest"}},
	{"name of another", record("names/layer", "base-name", new("top")), []string{
		"index names/layer/base-name", "index-stray names/layer/base-name",
	}},
	{"child missing", remove("index/children", "base\x00top"), []string{`index index/children/"base\x00top"`, "uses uses/base"}},
	{"digest missing", remove("index/digest/diff", diffKey+"\x00base"), []string{`index index/digest/diff/"` + diffKey + `\x00base"`}},
	{"owner of a file missing", remove("index/files", "vfs-layers/base.tar-split.gz"), []string{"index index/files/vfs-layers/base.tar-split.gz"}},
	{"name too many", record("names/container", "n", new("container")), []string{"index-stray names/container/n"}},
	{"name of nobody", record("names/container", "n", new("nobody")), []string{"index-stray names/container/n"}},
	{"child too many", put("index/children", "own\x00base"), []string{`index-stray index/children/"own\x00base"`, "uses uses/own"}},
	{"image too many", put("index/layer-images", "nothing\x00image"), []string{`index-stray index/layer-images/"nothing\x00image"`}},
	{"container of a layer too many", put("index/layer-containers", "nothing\x00container"), []string{`index-stray index/layer-containers/"nothing\x00container"`}},
	{"container of an image too many", put("index/image-containers", "nothing\x00container"), []string{`index-stray index/image-containers/"nothing\x00container"`}},
	{"digest too many", put("index/digest/toc", tocKey+"\x00base"), []string{`index-stray index/digest/toc/"` + tocKey + `\x00base"`}},
	{"compressed digest too many", put("index/digest/compressed", tocKey+"\x00nobody"), []string{`index-stray index/digest/compressed/"` + tocKey + `\x00nobody"`}},
	{"image digest too many", put("index/digest/image", tocKey+"\x00image"), []string{`index-stray index/digest/image/"` + tocKey + `\x00image"`}},
	{"key of one part", put("index/digest/image", imageKey), []string{"index-stray index/digest/image/" + imageKey}},
	{"file too many", record("index/files", "f", new("image\x00image\x00config")), []string{"index-stray index/files/f"}},
	{"file of nobody", record("index/files", "f", new("image\x00nobody\x00config")), []string{"index-stray index/files/f"}},
	{"file of a kind that there is not", record("index/files", "f", new("thing\x00x\x00y")), []string{"index-stray index/files/f"}},
	{"file of something else", record("index/files", "f", new("no parts")), []string{"index-stray index/files/f"}},

	{"layers numbered anew", sequence("layers", 2), []string{"sequence layers/"}},
	{"images numbered anew", sequence("images", 0), []string{"sequence images/"}},
	{"data items numbered anew", sequence("data/image", 1), []string{"sequence data/image/"}},
	{"journal numbered anew", sequence("journal", 0), []string{"sequence journal/"}},

	{"uses wrong", record("uses", "own", new(uint64(2))), []string{"uses uses/own"}},
	{"uses none instead of some", record("uses", "own", new(uint64(0))), []string{"uses uses/own", "uses uses/top"}},
	{"uses missing", remove("uses", "own"), []string{"uses uses/own", "uses uses/top"}},
	{"uses of nobody", record("uses", "nobody", new(uint64(0))), []string{"uses uses/nobody"}},

	{"sums wrong", record("store", "usage", &db.Usage{Layers: 3}), []string{"usage store/usage"}},
	{"sums missing", remove("store", "usage"), []string{"usage store/usage"}},

	{"data item of nobody", all(record("data/layer", "nobody\x00k", &model.Data{Key: "k", Content: contentOf("f", 0)}),
		record("index/files", "f", new("layer\x00nobody\x00k")), record("store", "usage", &db.Usage{
			Layers: 3, Images: 1, Containers: 1, LayerBytes: 123_456, DataItems: 5, DataBytes: 100, TarSplitBytes: 800,
		})), []string{`orphan-data data/layer/"nobody\x00k"`}},

	{"trash that is needed", record("trash", "vfs-images/image/config", &db.Trash{Path: "vfs-images/image/config", Kind: db.TrashFile}), []string{
		"trash trash/vfs-images/image/config",
	}},
	{"trash of a layer that is needed", record("trash", "vfs/dir/base-dir", &db.Trash{
		Path: "vfs/dir/base-dir", Kind: db.TrashLayer, Dir: "base-dir", ObjectKind: model.KindLayer, ID: "base",
	}), []string{"trash trash/vfs/dir/base-dir"}},

	{"hold flipped", flip("holds", "layer\x00base\x00uuid-of-another"), []string{"record " + baseHold}},
	{"hold of another store", record("holds", "layer\x00base\x00uuid-of-another", &db.Hold{Kind: model.KindLayer, ID: "base", Store: "other"}), []string{
		"record " + baseHold,
	}},
	{"hold on nothing", record("holds", "image\x00x\x00y", &db.Hold{Kind: model.KindImage, ID: "x", Store: "y"}), []string{
		`hold holds/"image\x00x\x00y"`,
	}},
	{"hold on a thing", record("holds", "thing\x00x\x00y", &db.Hold{Kind: "thing", ID: "x", Store: "y"}), []string{
		`record holds/"thing\x00x\x00y"`,
	}},
	{"place of an object flipped", flip("elsewhere", "layer\x00far"), []string{`record elsewhere/"layer\x00far"`}},
	{"place of an object missing", remove("elsewhere", "layer\x00far"), []string{"top-layer images/image"}},
	{"place of an object that nobody needs", record("elsewhere", "image\x00x", &db.Elsewhere{Kind: model.KindImage, ID: "x", Store: "y"}), []string{
		`elsewhere elsewhere/"image\x00x"`,
	}},
	{"place of a container", record("elsewhere", "container\x00x", &db.Elsewhere{Kind: model.KindContainer, ID: "x", Store: "y"}), []string{
		`elsewhere elsewhere/"container\x00x"`,
	}},
	{"what is prepared under another key", record("prepared", "tx", &db.Prepared{Tx: "other"}), []string{"record prepared/tx"}},
	{"what is prepared is nonsense", put("prepared", "tx"), []string{"record prepared/tx"}},
	{"what was decided under another key", record("decided", "uuid", &db.Decided{Store: "other"}), []string{"record decided/uuid"}},
	{"run root flipped", flip("runs", "/run/one"), []string{"record runs//run/one"}},

	{
		"parent that does not exist", all(remove("layers", "base"), remove("uses", "base"), remove("names/layer", "base-name"),
			remove("index/files", "vfs-layers/base.tar-split.gz"), remove("index/files", "vfs-layers/base/toc"),
			remove("data/layer", "base\x00zstd-chunked-manifest"), remove("index/digest/diff", diffKey+"\x00base"),
			remove("index/digest/compressed", digest.FromString("compressed").String()+"\x00base"),
			record("store", "usage", &db.Usage{Layers: 2, Images: 1, Containers: 1, DataItems: 3, DataBytes: 90})),
		[]string{"parent layers/top", "top-layer images/image", "hold " + baseHold},
	},
	{
		"image that does not exist", all(record("containers", "container", &model.Container{
			ID: "container", Names: []string{"some-container"}, Seq: 1, Image: "nothing", Layer: "own",
		}), remove("index/image-containers", "image\x00container"), put("index/image-containers", "nothing\x00container")),
		[]string{"image containers/container"},
	},
	{
		"container's layer that does not exist", all(record("containers", "container", &model.Container{
			ID: "container", Names: []string{"some-container"}, Seq: 1, Image: "image", Layer: "nothing",
		}), remove("index/layer-containers", "own\x00container"), put("index/layer-containers", "nothing\x00container")),
		[]string{"layer containers/container", "uses uses/own"},
	},
	{"layer of two containers", all(record("containers", "other", &model.Container{ID: "other", Layer: "own"}),
		put("index/layer-containers", "own\x00other"), record("uses", "own", new(uint64(2))), record("store", "usage", &db.Usage{
			Layers: 3, Images: 1, Containers: 2, LayerBytes: 123_456, DataItems: 4, DataBytes: 100, TarSplitBytes: 800,
		})), []string{"shared-layer containers/container", "shared-layer containers/other"}},
	{
		"layer on itself", all(record("layers", "top", top(func(l *model.Layer) { l.Parent = "top" })),
			remove("index/children", "base\x00top"), put("index/children", "top\x00top"),
			record("uses", "top", new(uint64(3))), record("uses", "base", new(uint64(1)))),
		[]string{"cycle layers/top"},
	},
}

func TestCheckFindsEachDamageAndNothingElse(t *testing.T) {
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			database := create(t)
			update(t, database, fill)
			dbtest.Check(t, database)
			withBolt(t, database.Path(), d.do)
			var got []string
			for _, p := range dbtest.Problems(t, database) {
				got = append(got, string(p.Code)+" "+p.Place)
				if p.Expected == "" || p.Found == "" || p.Expected == p.Found || !strings.Contains(p.String(), p.Place) {
					t.Errorf("the problem says little: %s", p)
				}
			}
			sorted := cmpopts.SortSlices(func(a, b string) bool { return a < b })
			if diff := cmp.Diff(d.want, got, sorted); diff != "" {
				t.Errorf("%s\n%v", diff, dbtest.Problems(t, database))
			}
		})
	}
}

// Every code stands for a damage above, or for one of the pages.
func TestEachProblemCodeHasItsDamage(t *testing.T) {
	// See page_test.go for those of pages.
	found := map[string]bool{string(db.ProblemPage): true, string(db.ProblemFree): true, string(db.ProblemMeta): true}
	for _, d := range damages {
		for _, want := range d.want {
			code, _, _ := strings.Cut(want, " ")
			found[code] = true
		}
	}
	declared := regexp.MustCompile(`Problem\w+ +ProblemCode += "(.*?)"`)
	for _, file := range []string{"check.go", "page_check.go"} {
		codes := declared.FindAllStringSubmatch(string(readFile(t, file)), -1)
		if len(codes) == 0 {
			t.Errorf("%s declares no code", file)
		}
		for _, code := range codes {
			if !found[code[1]] {
				t.Errorf("no damage is found as %q", code[1])
			}
		}
	}
}

func TestMissingBucketIsReported(t *testing.T) {
	database := create(t)
	withBolt(t, database.Path(), func(tx *bolt.Tx) error {
		return errors.Join(tx.Bucket([]byte("v1")).DeleteBucket([]byte("uses")), tx.Bucket([]byte("v1")).DeleteBucket([]byte("index/files")))
	})
	view(t, database, func(tx *db.ReadTx) error {
		problems, err := tx.Check(t.Context())
		wantClass(t, err, model.ErrCorrupt)
		places := make([]string, 0, len(problems))
		for _, p := range problems {
			places = append(places, string(p.Code)+" "+p.Place)
		}
		if diff := cmp.Diff([]string{"bucket v1/index/files", "bucket v1/uses"}, places); diff != "" {
			t.Error(diff)
		}
		_, err = tx.Uses("x")
		wantClass(t, err, model.ErrCorrupt)
		return nil
	})
	wantClass(t, database.Update(t.Context(), createLayer("x")), model.ErrCorrupt)
}

// Each cycle is reported once, for its least member, whatever hangs on it.
func TestCyclesOfLayers(t *testing.T) {
	for _, c := range []struct {
		name    string
		parents map[string]string
		want    []string
	}{
		{"of one", map[string]string{"a": "a"}, []string{"a"}},
		{"of two", map[string]string{"a": "b", "b": "a"}, []string{"a"}},
		{"of three", map[string]string{"c": "a", "a": "b", "b": "c"}, []string{"a"}},
		{"with tails", map[string]string{"m": "n", "n": "o", "o": "m", "a": "b", "b": "m", "z": "n", "zz": "z"}, []string{"m"}},
		{"two", map[string]string{"a": "a", "x": "y", "y": "x", "b": "x"}, []string{"a", "x"}},
		{"none", map[string]string{"a": "b", "b": "c", "c": "", "d": "c", "e": "gone"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			database := create(t)
			withBolt(t, database.Path(), func(tx *bolt.Tx) error {
				for id, parent := range c.parents {
					l := &model.Layer{ID: model.LayerID(id), Parent: model.LayerID(parent)}
					if err := record("layers", id, l)(tx); err != nil {
						return err
					}
				}
				return nil
			})
			var got []string
			for _, p := range dbtest.Problems(t, database) {
				if p.Code == db.ProblemCycle {
					got = append(got, p.ID)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLayersCannotBecomeTheirOwnAncestors(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	wantClass(t, database.Update(t.Context(), func(tx *db.Tx) error {
		return tx.CreateLayer(&model.Layer{ID: "a", Parent: "a"})
	}), model.ErrInvalid)
	update(t, database, func(tx *db.Tx) error {
		return errors.Join(
			tx.CreateLayer(&model.Layer{ID: "c", Parent: "b"}), // which does not exist yet
			tx.CreateLayer(&model.Layer{ID: "d", Parent: "c"}))
	})
	wantClass(t, database.Update(t.Context(), func(tx *db.Tx) error {
		return tx.CreateLayer(&model.Layer{ID: "b", Parent: "d"})
	}), model.ErrInvalid)
	update(t, database, createLayer("b"))
	for _, parent := range []model.LayerID{"b", "c", "d"} {
		wantClass(t, database.Update(t.Context(), func(tx *db.Tx) error {
			return second(tx.UpdateLayer(db.OpModify, "b", func(l *model.Layer) error { l.Parent = parent; return nil }))
		}), model.ErrInvalid)
	}
}

// Check can be called in a transaction that has changed something.
func TestCheckSeesWhatItsTransactionHasDone(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, fill)
	update(t, database, func(tx *db.Tx) error {
		_, _, err := tx.DeleteImage("image")
		if err != nil {
			return err
		}
		if err := tx.CreateLayer(&model.Layer{ID: "new", Parent: "own", Names: []string{"n"}}); err != nil {
			return err
		}
		problems, err := tx.Check(t.Context())
		var codes []string
		for _, p := range problems {
			codes = append(codes, string(p.Code))
		}
		// The sums are written at the end.
		if !slices.Equal(codes, []string{"image", "hold", "elsewhere", "usage"}) {
			t.Errorf("found %v", problems)
		}
		return err
	})
}

func TestCheckEndsWithItsContext(t *testing.T) {
	database := dbtest.New(t, db.Options{})
	update(t, database, fill)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	view(t, database, func(tx *db.ReadTx) error {
		_, err := tx.Check(ctx)
		wantClass(t, err, context.Canceled)
		_, err = tx.CheckPages(ctx)
		wantClass(t, err, context.Canceled)
		return nil
	})
	_, err := db.CheckFile(ctx, database.Path())
	wantClass(t, err, context.Canceled)
}

func ExampleProblem_String() {
	fmt.Println(db.Problem{Code: db.ProblemUses, Place: "uses/base", Expected: "1", Found: "2"})
	// Output: uses: uses/base: expected 1, found 2
}
