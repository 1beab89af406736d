package archive_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// swapping replaces directories of a layer by links to the canary and back for
// as long as work takes.
func swapping(layer string, work func()) {
	stop := make(chan struct{})
	var swapper sync.WaitGroup
	swapper.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			name := fmt.Sprintf("%s/d%d", layer, i%4)
			_ = os.Rename(name, name+".real")
			_ = os.Symlink(outside, name)
			_ = os.Remove(name)
			_ = os.Rename(name+".real", name)
		}
	})
	work()
	close(stop)
	swapper.Wait()
}

// TestUnpackIntoATreeThatIsBeingSwapped lets somebody, as a container that has
// the layer mounted, put links in the way of the archive. What becomes of the
// archive is another question; the canary must not notice.
func TestUnpackIntoATreeThatIsBeingSwapped(t *testing.T) {
	layer, beside := layerAndCanaryIn(t, testutil.Tmpfs(t))
	var entries []entry
	for i := range 1500 {
		name := fmt.Sprintf("d%d/%d", i%4, i)
		entries = append(entries, dir(fmt.Sprintf("d%d", i%4)), file(name, "x"), dir(fmt.Sprintf("d%d/folder", i%4)),
			hardLink(fmt.Sprintf("l%d", i), fmt.Sprintf("d%d/secret", i%4)), whiteout(fmt.Sprintf("d%d/.wh.secret", i%4)),
			whiteout(fmt.Sprintf("d%d/.wh..wh..opq", i%4)))
	}
	unpack(t, layer, archive.UnpackOptions{}, entries[0], entries[6], entries[12], entries[18])
	done := 0
	swapping(layer, func() {
		for len(entries) > 0 { // an error ends one archive; go on after it
			src := &list{entries: entries}
			unpacked, _ := archive.Unpack(t.Context(), layer, src, archive.UnpackOptions{})
			done += unpacked.Entries
			entries = src.entries
		}
	})
	if done != 9000 {
		t.Errorf("%d entries were tried", done)
	}
	beside.check(t)
}

// TestPackOfATreeThatIsBeingSwapped does the same to the readers of a tree.
func TestPackOfATreeThatIsBeingSwapped(t *testing.T) {
	layer, beside := layerAndCanaryIn(t, testutil.Tmpfs(t))
	for i := range 4 {
		mkdir(t, fmt.Sprintf("%s/d%d/folder", layer, i))
		write(t, fmt.Sprintf("%s/d%d/secret", layer, i), "mine")
	}
	tree, err := archive.OpenTree(layer)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	var out bytes.Buffer
	swapping(layer, func() {
		for i := range 500 {
			_ = archive.Pack(t.Context(), &out, layer, archive.PackOptions{})
			changes := []model.Change{{Path: fmt.Sprintf("/d%d/secret", i%4)}}
			_ = archive.PackChanges(t.Context(), &out, layer, changes, archive.PackOptions{})
			_, _ = archive.Changes(t.Context(), beside.dir, layer, archive.CompareOptions{})
			if file, err := tree.Open(fmt.Sprintf("d%d/secret", i%4)); err == nil {
				_, _ = io.Copy(&out, file)
				_ = file.Close()
			}
		}
	})
	beside.check(t)
	if bytes.Contains(out.Bytes(), []byte("canary secret")) {
		t.Error("read what is outside")
	}
	if !bytes.Contains(out.Bytes(), []byte("mine")) {
		t.Error("read nothing at all")
	}
}
