package archive_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/testutil"
)

// FuzzUnpack unpacks any bytes in any form. Nothing outside the layer may
// change, the result must be the same each time, and what can be unpacked can
// be packed and unpacked again.
func FuzzUnpack(f *testing.F) {
	for _, a := range allAttacks() {
		stream := a.stream
		if stream == nil {
			stream = withoutEnd(a.entries...)
		}
		if len(stream) > 0 && len(stream) < 1<<14 {
			f.Add(stream, byte(0))
			f.Add(append(withoutEnd(a.before...), stream...), byte(1))
		}
	}
	disk := testutil.Tmpfs(f)
	f.Fuzz(func(t *testing.T, stream []byte, form byte) {
		stream = valid(stream)
		top := mkdirNew(t, disk)
		defer func() {
			if err := os.RemoveAll(top); err != nil {
				t.Error(err)
			}
		}()
		lower, first, second := mkdirNew(t, top), mkdirNew(t, top), mkdirNew(t, top)
		opts := archive.UnpackOptions{Whiteouts: archive.Whiteouts(form % 3), Lowers: []string{lower}}
		mkdir(t, lower+"/d/d", lower+"/a")
		write(t, lower+"/f", "lower")
		begin := time.Now().Add(-time.Second)

		got, err := fuzzUnpack(t, first, stream, opts, begin)
		again, errAgain := fuzzUnpack(t, second, stream, opts, begin)
		if fmt.Sprint(err) != fmt.Sprint(errAgain) {
			t.Fatalf("first %v, then %v", err, errAgain)
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Fatalf("second time: %s", diff)
		}
		if err == nil && opts.Whiteouts == archive.WhiteoutsApplied {
			third := mkdirNew(t, top)
			repacked, err := fuzzUnpack(t, third, pack(t, first+"/layer", archive.PackOptions{}), opts, begin)
			if diff := cmp.Diff(packable(got), packable(repacked)); err != nil || diff != "" {
				t.Fatalf("packed and unpacked: %v %s", err, diff)
			}
		}
	})
}

// valid corrects the checksums of headers, so that changes to them matter.
func valid(stream []byte) []byte {
	stream = bytes.Clone(stream)
	for at := 0; at+512 <= len(stream); at += 512 {
		if bytes.HasPrefix(stream[at+257:], []byte("ustar")) {
			checksummed(stream[at : at+512])
		}
	}
	return stream
}

// fuzzUnpack unpacks an archive into the directory "layer" of parent and lists
// the result.
func fuzzUnpack(t *testing.T, parent string, stream []byte, opts archive.UnpackOptions, begin time.Time) (testutil.Listing, error) {
	t.Helper()
	layer, beside := layerAndCanaryIn(t, parent)
	_, err := archive.Unpack(t.Context(), layer, &small{tar.NewReader(bytes.NewReader(stream))}, opts)
	beside.check(t)
	listing := testutil.Snapshot(t, layer)
	for name, e := range listing {
		if e.ModTime.After(begin) {
			e.ModTime = begin // made for what is in it
			listing[name] = e
		}
	}
	return listing, err
}

// small ends an archive before the first large file, which would only take
// time, and before the first long name: a path to what it makes would be too
// long for the functions that look at the result.
type small struct{ *tar.Reader }

func (s *small) Next() (*tar.Header, error) {
	hdr, err := s.Reader.Next()
	if err == nil && (hdr.Size > 4<<20 || len(hdr.Name)+len(hdr.Linkname) > 600) {
		return nil, io.EOF
	}
	return hdr, err
}

// packable returns a listing without what Pack leaves out.
func packable(l testutil.Listing) testutil.Listing {
	result := make(testutil.Listing)
	for name, e := range l {
		kept := map[string]string{}
		for attr, value := range e.Xattrs {
			if strings.HasPrefix(attr, "user.") || attr == "security.capability" {
				kept[attr] = value
			}
		}
		e.Xattrs = kept
		if name != "." {
			result[name] = e
		}
	}
	return result
}
