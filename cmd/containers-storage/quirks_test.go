package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The command that comes with containers/storage has its oddities. The tests
// in this file say for each of those that concern these commands what is made
// of it.

func TestGlobalFlagsBeforeTheCommandAreNotForgotten(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	images := filepath.Join(t.TempDir(), "images")
	roots := []string{"--graph", s.root, "--run", s.runRoot, "--storage-driver", "vfs"}
	for i, words := range [][]string{
		append([]string{"--image-store", images, "--transient-store"}, append(roots, "create-container", "--id=c0", "")...),
		append(roots, "create-container", "--image-store", images, "--transient-store", "--id=c1", ""),
	} {
		if r := s.run(t, words...); r.status != 0 {
			t.Fatalf("%q: %+v", words, r)
		}
		if r := s.run(t, append(roots, "exists", "-c", fmt.Sprint("c", i))...); r.status != exitFailed {
			t.Errorf("%q: the container is not transient", words)
		}
		if _, err := os.Lstat(filepath.Join(images, "csdb.db")); err != nil {
			t.Errorf("%q: %v", words, err)
		}
		if err := os.RemoveAll(images); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGapsAreFilledFromTheEnvironment(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	environment := map[string]string{"STORAGE_DRIVER": "vfs", "STORAGE_OPTS": "vfs.ignore_chown_errors=false"}
	r := s.runIn(t.Context(), environment, "", "--graph", s.root, "--run", s.runRoot, "status", "--json")
	want := `[["Root","` + s.root + `"],["Run Root","` + s.runRoot + `"],["Driver Name","vfs"],["Driver Options","[vfs.ignore_chown_errors=false]"]]`
	if r.stdout != want+"\n" || r.status != 0 {
		t.Errorf("status: %+v, want %s", r, want)
	}
}

func TestEmptyRootIsRefused(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--graph=", "--run=", "-g="} {
		if r := newLocalStore(t).run(t, "layers", flag); r.status != exitFailed || !strings.Contains(r.stdout, "the path is empty") {
			t.Errorf("layers %s: %+v", flag, r)
		}
	}
}

func TestNamesHaveNoRoomForSurprises(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	id := s.ok(t, "create-image", "-i", "im", "-n", "a,b", "-n", " blank ", "-n", "\x82\xff", "-n", "--json")
	if want := "im\n\ta,b\n\t blank \n\t\x82\xff\n\t--json\n"; id != want {
		t.Errorf("created %q, want %q", id, want)
	}
	for _, name := range []string{"a,b", " blank ", "\x82\xff"} {
		if got := s.ok(t, "get-names", name); got != "a,b\n blank \n\x82\xff\n--json\n" {
			t.Errorf("names of %q: %q", name, got)
		}
	}
	for _, part := range []string{"a", "blank", "\x82"} {
		s.fails(t, "get-names", part)
	}
}

func TestIDsThatCouldLeadElsewhereAreRefused(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	for _, id := range []string{"../x", "a/b", "..", ".", "a\nb", "-j", "l"} {
		for _, command := range []string{"create-layer", "create-image", "create-container"} {
			words := []string{command, "--id", id}
			if command == "create-container" {
				words = append(words, "")
			}
			s.fails(t, words...)
		}
	}
}

func TestChecksOfDeletionsDoNotDependOnTheFormOfTheReference(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	s.ok(t, "create-layer", "--id", "lower", "--name", "low")
	s.ok(t, "create-layer", "--id", "upper", "lower")
	s.ok(t, "create-image", "--id", "image", "--name", "im", "upper")
	s.ok(t, "create-container", "--id", "container", "--name", "co", "image")
	for _, ref := range []string{"lower", "low", "lo"} {
		if got := s.fails(t, "delete-layer", ref); !strings.Contains(got, "layer has children") {
			t.Errorf("delete-layer %s: %s", ref, got)
		}
	}
	for _, ref := range []string{"image", "im", "ima"} {
		if got := s.fails(t, "delete-image", ref); !strings.Contains(got, "image is in use by a container") {
			t.Errorf("delete-image %s: %s", ref, got)
		}
	}
	s.ok(t, "delete-container", "cont")
}

func TestTheLayerOfAContainerIsNoParent(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	s.ok(t, "create-container", "--id", "c", "")
	layer := strings.TrimSpace(s.ok(t, "layers", "-q"))
	for _, words := range [][]string{{"create-layer", layer}, {"import-layer", "-f", testFile(t, "base.tar"), layer}} {
		if got := s.fails(t, words...); !strings.Contains(got, "would-be parent layer is a container") {
			t.Errorf("%q: %s", words, got)
		}
	}
}

func TestTheLayerOfAContainerStandsForIt(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	s.ok(t, "create-container", "--id", "c", "")
	layer := strings.TrimSpace(s.ok(t, "layers", "-q"))
	if got := s.ok(t, "container", layer); !strings.HasPrefix(got, "ID: c\n") {
		t.Errorf("container %s: %s", layer, got)
	}
	s.ok(t, "delete", layer)
	s.fails(t, "exists", "-q", "c")
}

func TestReplacedManifestIsNoKeyAnyLonger(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	s.ok(t, "create-image", "--id", "im", "")
	s.ok(t, "set-image-data", "-f", testFile(t, "manifest.json"), "im", "manifest")
	old := strings.TrimSpace(s.ok(t, "get-image-data-digest", "im", "manifest"))
	s.ok(t, "set-image-data", "-f", testFile(t, "other.json"), "im", "manifest")
	if got := s.ok(t, "images-by-digest", old); got != "" {
		t.Errorf("found by the digest of what was replaced: %q", got)
	}
}

func TestFailedReadingLeavesNoFile(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	s.ok(t, "create-layer", "--id", "layer")
	path := filepath.Join(s.files, "new")
	s.fails(t, "get-layer-data", "--file", path, "layer", "nosuch")
	s.fails(t, "diff", "--bzip2", "--file", path, "layer")
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a file: %v", err)
	}
}

func TestDamagedDiffGetsNoFile(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	s.ok(t, "import-layer", "--id", "layer", "-f", testFile(t, "base.tar"))
	writeFile(t, filepath.Join(s.root, "vfs", "dir", "layer", "a"), "HELLO\n") // the same size
	path := s.files + "/diffs/out"
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, "from before")
	if got := s.fails(t, "diff", "--file", path, "layer"); got == "" {
		t.Error("no reason is given")
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("beside the file there is %v, %v", entries, err)
	}
	wantSame(t, path, []byte("from before"))
}

func TestDamagedDataItemGetsNoFile(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	s.ok(t, "create-image", "--id", "im", "")
	s.ok(t, "set-image-data", "-f", testFile(t, "other.json"), "im", "item")
	writeFile(t, filepath.Join(s.root, "vfs-images", "im", "item"), strings.Repeat("x", 18)) // the same size
	path := filepath.Join(s.files, "out")
	if got := s.fails(t, "get-image-data", "-f", path, "im", "item"); !strings.Contains(got, "corrupt") {
		t.Errorf("the reason is %q", got)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a file: %v", err)
	}
}

func TestMountsAreCountedAnewAfterAForeignUnmount(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		if s.driver == "vfs" {
			t.Skip("its mounts are none of the kernel's")
		}
		layer := s.line(t, "create-layer")
		for range 2 {
			dir := s.line(t, "mount", layer)
			s.line(t, "mount", layer)
			if err := unix.Unmount(dir, 0); err != nil {
				t.Fatal(err)
			}
			s.wantOutput(t, "", "mounted", layer)
		}
		s.line(t, "mount", layer)
		s.wantOutput(t, layer+" mountpoint unmounted\n", "unmount", layer)
	})
}

func TestMountPointsCanBeUnmounted(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		container := s.line(t, "create-container", "")
		dir := s.line(t, "mount", container)
		s.wantOutput(t, dir+" mountpoint unmounted\n", "unmount", dir)
		s.wantOutput(t, "", "mounted", container)
	})
}

func TestFlagsCountOnlyBeforeTheFirstArgument(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	s.ok(t, "create-layer", "--id", "layer")
	r := s.run(t, "layer", "la", "--json")
	if r.status != exitFailed || r.stdout != "ID: layer\n" || r.stderr != "" {
		t.Errorf("%+v", r)
	}
}

func TestRecordsCanBeReadByOtherPrograms(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	s.ok(t, "import-layer", "--id", "layer", "-f", testFile(t, "base.tar.gz"))
	var layers []struct {
		ID         string `json:"id"`
		DiffSize   int64  `json:"diff-size"`
		DiffDigest string `json:"diff-digest"`
	}
	if err := json.Unmarshal([]byte(s.ok(t, "layers", "--json")), &layers); err != nil || len(layers) != 1 {
		t.Fatalf("%v: %v", layers, err)
	}
	archive := s.ok(t, "diff", "-u", "layer")
	if l := layers[0]; l.DiffSize != int64(len(archive)) || l.DiffDigest != digestOfText(archive) {
		t.Errorf("%+v does not describe the diff, which has %d bytes and the digest %s", l, len(archive), digestOfText(archive))
	}
}

func TestRepeatedMetadataIsPrintedAgain(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	s.ok(t, "create-layer", "--id", "layer")
	if got := s.ok(t, "metadata", "layer", "layer"); got != strings.Repeat("layer: \n", 2) {
		t.Errorf("metadata printed %q", got)
	}
}
