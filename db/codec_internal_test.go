package db

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/opencontainers/go-digest"
	"pgregory.net/rapid"

	"github.com/csdb/csdb/model"
)

// encode makes a value of a table, as put does.
func encode[T any](t rapid.TB, in table[T], key string, record *T) []byte {
	t.Helper()
	content, err := encoding.Marshal(record)
	if err != nil {
		t.Fatalf("%+v: %v", record, err)
	}
	return seal(in.name, []byte(key), content)
}

// equal compares records: an empty list becomes none at all.
var equal = cmpopts.EquateEmpty()

func testRoundTrip[T any](t *testing.T, in table[T], record *rapid.Generator[T]) {
	t.Helper()
	t.Run(fmt.Sprintf("%T", *new(T)), func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			want := record.Draw(t, "record")
			value := encode(t, in, "key", &want)
			got, err := in.decode([]byte("key"), value)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&want, got, equal); diff != "" {
				t.Fatal(diff)
			}
			if again := encode(t, in, "key", got); string(again) != string(value) {
				t.Fatalf("encoded anew it is %x instead of %x", again, value)
			}
		})
	})
}

func TestRecordsSurviveEncoding(t *testing.T) {
	testRoundTrip(t, layers.table, layerRecords())
	testRoundTrip(t, images.table, imageRecords())
	testRoundTrip(t, containers.table, containerRecords())
	testRoundTrip(t, dataItems(model.KindImage), dataRecords())
	testRoundTrip(t, trash, rapid.Custom(func(t *rapid.T) Trash {
		return Trash{
			Path: texts.Draw(t, "path"), Kind: rapid.SampledFrom([]TrashKind{TrashFile, TrashLayer, TrashTree}).Draw(t, "kind"),
			Dir: texts.Draw(t, "dir"), ObjectKind: rapid.SampledFrom(model.Kinds).Draw(t, "object"), ID: texts.Draw(t, "id"), Since: times.Draw(t, "since"),
		}
	}))
	testRoundTrip(t, journal, rapid.Custom(func(t *rapid.T) JournalEntry {
		return JournalEntry{
			Seq: rapid.Uint64().Draw(t, "seq"), TxID: rapid.Int().Draw(t, "tx"), Time: times.Draw(t, "time"), PID: rapid.Int().Draw(t, "pid"),
			Command: texts.Draw(t, "command"), Omitted: rapid.Int().Draw(t, "omitted"),
			Changes: rapid.SliceOf(rapid.Custom(func(t *rapid.T) Change {
				return Change{Op: Op(texts.Draw(t, "op")), Kind: model.Kind(texts.Draw(t, "kind")), ID: texts.Draw(t, "id"), Detail: lists.Draw(t, "detail")}
			})).Draw(t, "changes"),
		}
	}))
	testRoundTrip(t, infos, rapid.Custom(func(t *rapid.T) Info {
		return Info{UUID: texts.Draw(t, "uuid"), Created: times.Draw(t, "created"), Driver: texts.Draw(t, "driver"), Features: lists.Draw(t, "features")}
	}))
	testRoundTrip(t, usages, rapid.Make[Usage]())
	testRoundTrip(t, uses, rapid.Uint64())
	testRoundTrip(t, holds, rapid.Custom(func(t *rapid.T) Hold {
		return Hold{
			Kind: rapid.SampledFrom(model.Kinds).Draw(t, "kind"), ID: texts.Draw(t, "id"), Store: texts.Draw(t, "store"), Root: texts.Draw(t, "root"),
			RunRoot: texts.Draw(t, "run root"), Boot: texts.Draw(t, "boot"), Since: times.Draw(t, "since"),
		}
	}))
	testRoundTrip(t, prepared, rapid.Custom(func(t *rapid.T) Prepared {
		return Prepared{
			Tx: texts.Draw(t, "tx"), Coordinator: texts.Draw(t, "coordinator"), Root: texts.Draw(t, "root"), PID: rapid.Int().Draw(t, "pid"),
			Command: texts.Draw(t, "command"), Since: times.Draw(t, "since"),
			Steps: rapid.SliceOf(rapid.Custom(func(t *rapid.T) Step {
				return Step{
					Do: StepKind(rapid.Uint8().Draw(t, "do")), Bucket: lists.Draw(t, "bucket"), Key: rapid.SliceOf(rapid.Byte()).Draw(t, "key"),
					Value: rapid.SliceOf(rapid.Byte()).Draw(t, "value"), Number: rapid.Uint64().Draw(t, "number"),
				}
			})).Draw(t, "steps"),
		}
	}))
	testRoundTrip(t, linkValues(bucketImageNames), texts)
	testRoundTrip(t, mounts, rapid.Custom(func(t *rapid.T) Mount {
		return Mount{Layer: model.LayerID(texts.Draw(t, "layer")), Path: texts.Draw(t, "path"), Count: rapid.Uint64().Draw(t, "count"), Since: times.Draw(t, "since")}
	}))
	testRoundTrip(t, staged, rapid.Custom(func(t *rapid.T) Staged {
		return Staged{
			Path: texts.Draw(t, "path"), Kind: TrashKind(texts.Draw(t, "kind")), Dir: texts.Draw(t, "dir"), PID: rapid.Int().Draw(t, "pid"),
			Command: texts.Draw(t, "command"), Since: times.Draw(t, "since"),
		}
	}))
}

// Generators of parts of records.
var (
	// texts are any bytes, for that is what names may be.
	texts   = rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })
	lists   = rapid.SliceOf(texts)
	digests = rapid.Map(texts, digest.FromString)
	// times are those that RFC 3339 can say, as they come back.
	times = rapid.Map(rapid.Int64Range(-62_135_596_800, 253_402_300_799), func(s int64) time.Time { return time.Unix(s, s&0xff).UTC() })
	sizes = rapid.Int64Range(-1, 1<<60)
	flags = rapid.MapOf(texts, rapid.OneOf(
		rapid.Just[any](true), rapid.Map(rapid.Int64(), func(n int64) any { return n }), rapid.Map(texts, func(s string) any { return s }),
		rapid.Just[any]([]any{"a", int64(1)}), rapid.Just[any](map[string]any{"k": "v"}), rapid.Just[any](1.5)))
	idMaps = rapid.SliceOf(rapid.Make[model.IDMap]())
)

func layerRecords() *rapid.Generator[model.Layer] {
	contents := rapid.Custom(func(t *rapid.T) model.Content {
		return model.Content{Path: texts.Draw(t, "path"), Digest: digests.Draw(t, "digest"), Size: sizes.Draw(t, "size")}
	})
	diffs := rapid.Custom(func(t *rapid.T) model.Diff {
		return model.Diff{
			CompressedDigest: digests.Draw(t, "compressed"), CompressedSize: sizes.Draw(t, "compressed size"),
			Digest: digests.Draw(t, "digest"), Size: sizes.Draw(t, "size"), Compression: model.Compression(rapid.IntRange(0, 4).Draw(t, "compression")),
			UIDs: rapid.SliceOf(rapid.Uint32()).Draw(t, "UIDs"), GIDs: rapid.SliceOf(rapid.Uint32()).Draw(t, "GIDs"),
			TarSplit: rapid.Ptr(contents, true).Draw(t, "tar-split"),
		}
	})
	return rapid.Custom(func(t *rapid.T) model.Layer {
		return model.Layer{
			ID: model.LayerID(texts.Draw(t, "id")), Parent: model.LayerID(texts.Draw(t, "parent")), Names: lists.Draw(t, "names"),
			Created: times.Draw(t, "created"), Seq: rapid.Uint64().Draw(t, "seq"), Metadata: texts.Draw(t, "metadata"), Flags: flags.Draw(t, "flags"),
			MountLabel: texts.Draw(t, "label"), Writable: rapid.Bool().Draw(t, "writable"), Made: rapid.Bool().Draw(t, "made"), Dir: texts.Draw(t, "dir"),
			Incomplete: rapid.Bool().Draw(t, "incomplete"), Diff: rapid.Ptr(diffs, true).Draw(t, "diff"), TOCDigest: digests.Draw(t, "toc"),
			Size: sizes.Draw(t, "size"), UIDMap: idMaps.Draw(t, "uid map"), GIDMap: idMaps.Draw(t, "gid map"),
			StorageOpt: rapid.MapOf(texts, texts).Draw(t, "storage options"),
		}
	})
}

func imageRecords() *rapid.Generator[model.Image] {
	return rapid.Custom(func(t *rapid.T) model.Image {
		return model.Image{
			ID: model.ImageID(texts.Draw(t, "id")), Names: lists.Draw(t, "names"), Created: times.Draw(t, "created"), Seq: rapid.Uint64().Draw(t, "seq"),
			TopLayer:        model.LayerID(texts.Draw(t, "top")),
			MappedTopLayers: rapid.SliceOf(rapid.Map(texts, func(s string) model.LayerID { return model.LayerID(s) })).Draw(t, "mapped"),
			Digest:          digests.Draw(t, "digest"), ManifestDigests: rapid.SliceOf(digests).Draw(t, "manifests"),
			Metadata: texts.Draw(t, "metadata"), Flags: flags.Draw(t, "flags"), NamesHistory: lists.Draw(t, "history"),
		}
	})
}

func containerRecords() *rapid.Generator[model.Container] {
	return rapid.Custom(func(t *rapid.T) model.Container {
		return model.Container{
			ID: model.ContainerID(texts.Draw(t, "id")), Names: lists.Draw(t, "names"), Created: times.Draw(t, "created"), Seq: rapid.Uint64().Draw(t, "seq"),
			Image: model.ImageID(texts.Draw(t, "image")), Layer: model.LayerID(texts.Draw(t, "layer")), Metadata: texts.Draw(t, "metadata"),
			Flags: flags.Draw(t, "flags"), UIDMap: idMaps.Draw(t, "uid map"), GIDMap: idMaps.Draw(t, "gid map"),
		}
	})
}

func dataRecords() *rapid.Generator[model.Data] {
	return rapid.Custom(func(t *rapid.T) model.Data {
		return model.Data{
			Key: texts.Draw(t, "key"), Seq: rapid.Uint64().Draw(t, "seq"), ManifestDigest: digests.Draw(t, "manifest"),
			Content: model.Content{Path: texts.Draw(t, "path"), Digest: digests.Draw(t, "digest"), Size: sizes.Draw(t, "size")},
		}
	})
}

// sample is a record with a value in every field.
func sampleLayer() *model.Layer {
	split := &model.Content{Path: "split", Digest: "sha256:03", Size: 3, Damage: "CODE"}
	maps := []model.IDMap{{ContainerID: 1, HostID: 2, Size: 3}}
	return &model.Layer{
		ID: "id", Parent: "parent", Names: []string{"a", "b"}, Created: time.Unix(1, 2).UTC(), Seq: 3, Metadata: "metadata",
		Flags: map[string]any{"z": int64(1), "a": "text"}, MountLabel: "label", Writable: true, Made: true, Dir: "dir", Incomplete: true,
		Diff: &model.Diff{
			CompressedDigest: "sha256:01", CompressedSize: 1, Digest: "sha256:02", Size: 2, Compression: model.Zstd,
			UIDs: []uint32{0, 7}, GIDs: []uint32{8}, TarSplit: split,
		},
		TOCDigest: "sha256:04", Size: 4, UIDMap: maps, GIDMap: maps, StorageOpt: map[string]string{"size": "1G"}, Damage: "CODE",
	}
}

// goldenValues are the values of records that have a value in every field.
func goldenValues(t testing.TB) map[string][]byte {
	t.Helper()
	maps := []model.IDMap{{ContainerID: 1, HostID: 2, Size: 3}}
	when := time.Unix(1, 2).UTC()
	number, text := uint64(300), "text"
	return map[string][]byte{
		"layer": encode(t, layers.table, "id", sampleLayer()),
		"image": encode(t, images.table, "id", &model.Image{
			ID: "id", Names: []string{"a"}, Created: when, Seq: 3, TopLayer: "top", MappedTopLayers: []model.LayerID{"m"}, Digest: "sha256:01",
			ManifestDigests: []digest.Digest{"sha256:02"}, Metadata: "metadata", Flags: map[string]any{"f": true}, NamesHistory: []string{"h"},
		}),
		"container": encode(t, containers.table, "id", &model.Container{
			ID: "id", Names: []string{"a"}, Created: when, Seq: 3, Image: "image", Layer: "layer", Metadata: "metadata",
			Flags: map[string]any{"f": true}, UIDMap: maps, GIDMap: maps,
		}),
		"data": encode(t, dataItems(model.KindImage), "id\x00key", &model.Data{
			Key: "key", Seq: 3, Content: model.Content{Path: "path", Digest: "sha256:01", Size: 1, Damage: "CODE"}, ManifestDigest: "sha256:02",
		}),
		"trash": encode(t, trash, "path", &Trash{Path: "path", Kind: TrashLayer, Dir: "dir", ObjectKind: model.KindLayer, ID: "id", Since: when}),
		"journal": encode(t, journal, "\x00\x00\x00\x00\x00\x00\x00\x03", &JournalEntry{
			Seq: 3, TxID: 4, Time: when, PID: 5, Command: "command", Omitted: 6,
			Changes: []Change{{Op: OpCreate, Kind: model.KindLayer, ID: "id", Detail: []string{"d"}}},
		}),
		"info": encode(t, infos, keyInfo, &Info{UUID: "uuid", Created: when, Driver: "driver", Features: []string{"f"}, Of: "of"}),
		"usage": encode(t, usages, keyUsage, &Usage{
			Layers: 1, Images: 2, Containers: 3, LayerBytes: 4, UnusedLayerBytes: 5, DataItems: 6, DataBytes: 7, TarSplitBytes: 8,
		}),
		"uses":  encode(t, uses, "id", &number),
		"name":  encode(t, linkValues(bucketImageNames), "name", &text),
		"mount": encode(t, mounts, "id", &Mount{Layer: "id", Path: "path", Count: 3, Since: when}),
		"hold": encode(t, holds, "layer\x00id\x00uuid", &Hold{
			Kind: model.KindLayer, ID: "id", Store: "uuid", Root: "root", RunRoot: "run", Boot: "boot", Since: when,
		}),
		"elsewhere": encode(t, elsewhere, "image\x00id", &Elsewhere{Kind: model.KindImage, ID: "id", Store: "uuid", Root: "root"}),
		"prepared": encode(t, prepared, "tx", &Prepared{
			Tx: "tx", Coordinator: "uuid", Root: "root", PID: 5, Command: "command", Since: when,
			Steps: []Step{{Do: StepPut, Bucket: []string{"a", "b"}, Key: []byte("key"), Value: []byte("value"), Number: 7}},
		}),
		"decided": encode(t, decided, "uuid", &Decided{Store: "uuid", Tx: "tx", Since: when}),
		"run":     encode(t, runRoots, "path", &RunRoot{Path: "path", Boot: "boot", Since: when}),
		"staged":  encode(t, staged, "path", &Staged{Path: "path", Kind: TrashTree, Dir: "dir", PID: 5, Command: "command", Since: when}),
	}
}

// TestRecordsAreEncodedAsEver compares values with those of earlier builds:
// databases outlive programs.
func TestRecordsAreEncodedAsEver(t *testing.T) {
	const file = "testdata/values.golden"
	values := goldenValues(t)
	if flag.Lookup("update").Value.String() == "true" {
		var lines []string
		for _, name := range slices.Sorted(maps.Keys(values)) {
			lines = append(lines, name+" "+hex.EncodeToString(values[name])+"\n")
		}
		if err := os.WriteFile(file, []byte(strings.Join(lines, "")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	golden := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		golden[name] = value
	}
	for name, value := range values {
		if golden[name] != hex.EncodeToString(value) {
			t.Errorf("%s: got %x, want %s", name, value, golden[name])
		}
	}
	if len(golden) != len(values) {
		t.Errorf("%d values in %s, %d here", len(golden), file, len(values))
	}
}

// The golden values are worth something only if no field is left out.
func TestGoldenLayerHasEveryField(t *testing.T) {
	l := reflect.ValueOf(sampleLayer()).Elem()
	for _, record := range []reflect.Value{l, l.FieldByName("Diff").Elem(), l.FieldByName("Diff").Elem().FieldByName("TarSplit").Elem()} {
		for i := range record.NumField() {
			field := record.Type().Field(i)
			if record.Field(i).IsZero() && field.Tag.Get("cbor") != "-" {
				t.Errorf("%s has no value", field.Name)
			}
		}
	}
}

func TestFlippedBitsInAValueAreNoticed(t *testing.T) {
	value := encode(t, layers.table, "id", sampleLayer())
	for i := range value {
		for bit := range 8 {
			value[i] ^= 1 << bit
			if _, err := layers.decode([]byte("id"), value); !errors.Is(err, model.ErrCorrupt) {
				t.Errorf("bit %d of byte %d: %v", bit, i, err)
			}
			value[i] ^= 1 << bit
		}
	}
	if _, err := layers.decode([]byte("id"), value); err != nil {
		t.Errorf("at last: %v", err)
	}
}

func TestValueInAnotherPlaceIsNoticed(t *testing.T) {
	value := encode(t, layers.table, "id", sampleLayer())
	for name, err := range map[string]error{
		"key":            second(layers.decode([]byte("other"), value)),
		"longer key":     second(layers.decode([]byte("id\x00"), value)),
		"bucket":         second(table[model.Layer]{bucketImages}.decode([]byte("id"), value)),
		"end cut off":    second(layers.decode([]byte("id"), value[:len(value)-1])),
		"only header":    second(layers.decode([]byte("id"), value[:valueHeader])),
		"part of header": second(layers.decode([]byte("id"), value[:valueHeader-1])),
		"empty":          second(layers.decode([]byte("id"), []byte{})),
		"bucket instead": second(layers.decode([]byte("id"), nil)),
	} {
		record, ok := errors.AsType[*RecordError](err)
		if !errors.Is(err, model.ErrCorrupt) || !ok || record.Bucket == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// A record must not be stored that cannot be read again.
func TestRecordsThatCannotBeReadBackAreRefused(t *testing.T) {
	db, err := Create(t.Context(), t.TempDir(), "vfs", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	deep := any("end")
	for range 100 {
		deep = []any{deep}
	}
	for name, l := range map[string]*model.Layer{
		"flags too deep":       {ID: "x", Flags: map[string]any{"f": deep}},
		"keys of another type": {ID: "x", Flags: map[string]any{"f": map[int]string{1: "a"}}},
		"too large a number":   {ID: "x", Flags: map[string]any{"f": uint64(1) << 63}},
		"function":             {ID: "x", Flags: map[string]any{"f": func() {}}},
		"time of no calendar":  {ID: "x", Created: time.Date(20_000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		err := db.Update(t.Context(), func(tx *Tx) error { return tx.CreateLayer(l) })
		if !errors.Is(err, model.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Large ones are fine.
	ids := make([]uint32, 300_000)
	for i := range ids {
		ids[i] = uint32(i)
	}
	large := &model.Layer{ID: "large", Diff: &model.Diff{UIDs: ids}}
	if err := db.Update(t.Context(), func(tx *Tx) error { return tx.CreateLayer(large) }); err != nil {
		t.Error(err)
	}
}
