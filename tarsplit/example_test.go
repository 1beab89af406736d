package tarsplit_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/csdb/csdb/tarsplit"
)

// An archive is unpacked, recorded on the way, and put together again from the
// files.
func Example() {
	dir, err := os.MkdirTemp("", "tarsplit")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "greeting", Mode: 0o644, Size: 6})
	_, _ = w.Write([]byte("hello\n"))
	_ = w.Close()
	original := bytes.Clone(archive.Bytes())

	var split bytes.Buffer
	recorder := tarsplit.NewRecorder(&archive, &split)
	for {
		hdr, err := recorder.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			panic(err)
		}
		content, err := io.ReadAll(recorder)
		if err != nil {
			panic(err)
		}
		if err := os.WriteFile(filepath.Join(dir, hdr.Name), content, 0o600); err != nil {
			panic(err)
		}
	}

	var again bytes.Buffer
	if err := tarsplit.Replay(context.Background(), &again, bytes.NewReader(split.Bytes()), directory(dir)); err != nil {
		panic(err)
	}
	fmt.Println("the same bytes:", bytes.Equal(again.Bytes(), original))

	_ = os.WriteFile(filepath.Join(dir, "greeting"), []byte("hullo\n"), 0o600)
	err = tarsplit.Replay(context.Background(), io.Discard, bytes.NewReader(split.Bytes()), directory(dir))
	fmt.Println(err)
	// Output:
	// the same bytes: true
	// file integrity checksum failed for "greeting": corrupt: content has 614c3eeef9d81000 instead of 614c3eeee2d81000
}
