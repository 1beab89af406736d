package db_test

import (
	"errors"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// fillTime is when everything that fill makes was created.
var fillTime = time.Date(2026, 3, 1, 12, 30, 0, 123456789, time.UTC)

func fillNow() time.Time { return fillTime }

// fill stores one of everything: every field of every record has a value in
// one of them.
func fill(tx *db.Tx) error {
	return errors.Join(fillLayers(tx), fillImages(tx), fillContainers(tx), fillData(tx), fillRest(tx))
}

func fillLayers(tx *db.Tx) error {
	split := contentOf("vfs-layers/base.tar-split.gz", 800)
	base := &model.Layer{
		ID: "base", Names: []string{"base-name"}, Created: fillTime, Metadata: "about the base",
		Flags: map[string]any{"flag": "set", "count": 3, "list": []any{"x", true}}, MountLabel: "label",
		Made: true, Dir: "base-dir", Size: 123_456,
		Diff: &model.Diff{
			CompressedDigest: digest.FromString("compressed"), CompressedSize: 5_000,
			Digest: digest.FromString("diff"), Size: 10_240, Compression: model.Gzip,
			UIDs: []uint32{0, 1000}, GIDs: []uint32{0}, TarSplit: &split,
		},
		UIDMap:     []model.IDMap{{ContainerID: 0, HostID: 100_000, Size: 65_536}},
		GIDMap:     []model.IDMap{{ContainerID: 0, HostID: 200_000, Size: 65_536}},
		StorageOpt: map[string]string{"size": "10G"},
	}
	top := &model.Layer{ID: "top", Parent: "base", Created: fillTime, Incomplete: true, TOCDigest: digest.FromString("toc")}
	own := &model.Layer{ID: "own", Parent: "top", Created: fillTime, Writable: true, Size: model.SizeUnknown}
	return errors.Join(tx.CreateLayer(base), tx.CreateLayer(top), tx.CreateLayer(own))
}

func fillImages(tx *db.Tx) error {
	return tx.CreateImage(&model.Image{
		ID: "image", Names: []string{"docker.io/library/one:latest"}, Created: fillTime, TopLayer: "top",
		MappedTopLayers: []model.LayerID{"base", "far"}, Digest: digest.FromString("image"), Metadata: "about the image",
		Flags: map[string]any{"pinned": true}, NamesHistory: []string{"docker.io/library/one:latest", "former"},
	})
}

func fillContainers(tx *db.Tx) error {
	return tx.CreateContainer(&model.Container{
		ID: "container", Names: []string{"some-container"}, Created: fillTime, Image: "image", Layer: "own",
		Metadata: "about the container",
		Flags:    map[string]any{model.FlagVolatile: true, model.FlagMountOpts: []string{"nodev"}},
		UIDMap:   []model.IDMap{{ContainerID: 0, HostID: 1000, Size: 1}},
		GIDMap:   []model.IDMap{{ContainerID: 0, HostID: 1000, Size: 1}},
	})
}

func fillData(tx *db.Tx) error {
	var errs []error
	for _, item := range []struct {
		kind model.Kind
		id   string
		data model.Data
	}{
		{model.KindLayer, "base", model.Data{Key: "zstd-chunked-manifest", Content: contentOf("vfs-layers/base/toc", 10)}},
		{model.KindImage, "image", model.Data{Key: "config", Content: contentOf("vfs-images/image/config", 20)}},
		{model.KindImage, "image", model.Data{
			Key: "manifest", Content: contentOf("vfs-images/image/manifest", 30), ManifestDigest: digest.FromString("manifest"),
		}},
		{model.KindContainer, "container", model.Data{Key: "config.json", Content: contentOf("vfs-containers/container/config.json", 40)}},
	} {
		_, err := tx.PutData(item.kind, item.id, item.data)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func fillRest(tx *db.Tx) error {
	app := tx.App("com.example.engine")
	return errors.Join(
		tx.AddHold(db.Hold{Kind: model.KindLayer, ID: "base", Store: "uuid-of-another", Root: "/another", RunRoot: "/run/another", Boot: "boot"}),
		tx.AddHold(db.Hold{Kind: model.KindImage, ID: "image", Store: "uuid-of-another", Root: "/another"}),
		tx.SetElsewhere(db.Elsewhere{Kind: model.KindLayer, ID: "far", Store: "uuid-of-a-third", Root: "/third"}),
		tx.SetRun(db.RunRoot{Path: "/run/one", Boot: "boot"}),
		tx.AddTrash(db.Trash{Path: "vfs/dir/gone", Kind: db.TrashLayer, Dir: "gone", ObjectKind: model.KindLayer, ID: "gone"}),
		app.Put([]byte("key"), []byte("value")),
		app.Bucket("inner").Put([]byte{0, 0xff}, nil),
		app.Bucket("inner").Bucket("innermost").Put([]byte("key"), []byte("value")))
}
