package model_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/model"
)

func TestImageDigests(t *testing.T) {
	const a, b, c = digest.Digest("sha256:a"), digest.Digest("sha256:b"), digest.Digest("sha256:c")
	for _, test := range []struct {
		name  string
		image model.Image
		main  digest.Digest
		all   []digest.Digest
	}{
		{"none", model.Image{}, "", nil},
		{"given", model.Image{Digest: a}, a, []digest.Digest{a}},
		{"of manifests", model.Image{ManifestDigests: []digest.Digest{b, c}}, b, []digest.Digest{b, c}},
		{"given and of manifests", model.Image{Digest: a, ManifestDigests: []digest.Digest{b, c}}, a, []digest.Digest{a, b, c}},
		{"given is a manifest's", model.Image{Digest: c, ManifestDigests: []digest.Digest{b, c, b}}, c, []digest.Digest{c, b}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.image.MainDigest(); got != test.main {
				t.Errorf("main digest %q, want %q", got, test.main)
			}
			if diff := cmp.Diff(test.all, test.image.Digests()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestImageTopLayersDoNotShareMemory(t *testing.T) {
	image := model.Image{MappedTopLayers: []model.LayerID{"m", "n"}}
	for range 2 {
		layers := image.TopLayers()
		layers[0] = "changed"
		if image.MappedTopLayers[0] != "m" {
			t.Fatal("the record has changed")
		}
		image.TopLayer = "t"
	}
	if diff := cmp.Diff([]model.LayerID{"t", "m", "n"}, image.TopLayers()); diff != "" {
		t.Error(diff)
	}
}

func TestIsManifestKey(t *testing.T) {
	for key, want := range map[string]bool{
		"manifest": true, "manifest-sha256:1": true, "manifests": true,
		"": false, "Manifest": false, "a-manifest": false, "zstd-chunked-manifest": false,
	} {
		if model.IsManifestKey(key) != want {
			t.Errorf("%q", key)
		}
	}
}

func TestContainerFlags(t *testing.T) {
	var plain model.Container
	if plain.Volatile() || plain.MountLabel() != "" || plain.MountOpts() != nil {
		t.Error("a container without flags has some")
	}
	for _, opts := range []any{[]string{"nodev", "noexec"}, []any{"nodev", 7, "noexec"}} {
		c := model.Container{Flags: map[string]any{
			model.FlagVolatile: true, model.FlagMountLabel: "label", model.FlagMountOpts: opts,
		}}
		if !c.Volatile() || c.MountLabel() != "label" {
			t.Error("flags are not found")
		}
		if diff := cmp.Diff([]string{"nodev", "noexec"}, c.MountOpts()); diff != "" {
			t.Error(diff)
		}
	}
	odd := model.Container{Flags: map[string]any{model.FlagVolatile: "yes", model.FlagMountLabel: 1, model.FlagMountOpts: "nodev"}}
	if odd.Volatile() || odd.MountLabel() != "" || odd.MountOpts() != nil {
		t.Error("flags of another type count")
	}
}

func TestLayerDriverDirAndSize(t *testing.T) {
	l := model.Layer{ID: "id"}
	if l.DriverDir() != "id" || l.UncompressedSize() != model.SizeUnknown {
		t.Errorf("%q, %d", l.DriverDir(), l.UncompressedSize())
	}
	l.Dir, l.Diff = "dir", &model.Diff{Size: 7}
	if l.DriverDir() != "dir" || l.UncompressedSize() != 7 {
		t.Errorf("%q, %d", l.DriverDir(), l.UncompressedSize())
	}
}

func TestNamesOfConstants(t *testing.T) {
	for value, want := range map[interface{ String() string }]string{
		model.Uncompressed: "none", model.Bzip2: "bzip2", model.Gzip: "gzip", model.Xz: "xz", model.Zstd: "zstd",
		model.Compression(9): "compression(9)",
		model.ChangeModify:   "Modify", model.ChangeAdd: "Add", model.ChangeDelete: "Delete", model.ChangeKind(9): "change(9)",
	} {
		if value.String() != want {
			t.Errorf("%#v is called %q, want %q", value, value, want)
		}
	}
}
