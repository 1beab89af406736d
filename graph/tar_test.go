package graph_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os/exec"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/csdb/csdb/internal/compress"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// entry is an entry of an archive.
type entry struct {
	name, body, link string
	kind             byte  // tar.TypeReg and so on; 0 is a file
	mode             int64 // 0 is 0644 or 0755
}

func file(name, body string) entry { return entry{name: name, body: body} }

func folder(name string) entry { return entry{name: name + "/", kind: tar.TypeDir} }

// tarball returns an archive.
func tarball(t testing.TB, entries ...entry) []byte {
	t.Helper()
	data, err := packed(entries...)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// packed is tarball without a test.
func packed(entries ...entry) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := &tar.Header{
			Name: e.name, Typeflag: e.kind, Linkname: e.link, Mode: e.mode, Size: int64(len(e.body)),
			ModTime: time.Unix(1_700_000_000, 0), Format: tar.FormatPAX,
		}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 {
			h.Mode = 0o644
			if h.Typeflag == tar.TypeDir {
				h.Mode = 0o755
			}
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := io.WriteString(w, e.body); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

// compressed compresses data. What the library cannot write is left to the
// real programs.
func compressed(t testing.TB, kind model.Compression, data []byte) []byte {
	t.Helper()
	if compress.Writable(kind) != nil {
		testutil.NeedTool(t, kind.String())
		cmd := exec.CommandContext(t.Context(), kind.String(), "-c")
		cmd.Stdin = bytes.NewReader(data)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		return out
	}
	var out bytes.Buffer
	w, err := compress.NewWriter(&out, kind)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func sha256Of(data []byte) digest.Digest { return digest.FromBytes(data) }
