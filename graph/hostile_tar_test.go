package graph_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

// disguises are what archive/tar would not write, and what is given to it
// instead: of the same length, and such that it ends up in an extended header,
// which has no checksum.
var disguises = strings.NewReplacer("\u0101", "\x00\x00", "GNU_sparse.", "GNU.sparse.")

// hostileTar makes an archive of headers, with zeros for content. Regular files
// need no type, nor do folders whose name ends in a slash.
func hostileTar(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range headers {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
			if strings.HasSuffix(h.Name, "/") {
				h.Typeflag, h.Size = tar.TypeDir, 0
			}
		}
		h.Mode, h.Format = 0o755, tar.FormatPAX
		noError(t, w.WriteHeader(&h))
		must(io.CopyN(w, zeroes{}, h.Size))(t)
	}
	noError(t, w.Close())
	return []byte(disguises.Replace(out.String()))
}

// zeroes is an endless stream of zeros.
type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// patchedTar makes an archive of a file, in whose header something is
// overwritten. The offsets are those of POSIX (pax(1), "ustar Interchange
// Format").
func patchedTar(t testing.TB, at int, text string) []byte {
	t.Helper()
	data := tarball(t, file("f", "content"))
	header := data[:512]
	copy(header[at:], text)
	copy(header[148:156], "        ")
	sum := 0
	for _, b := range header {
		sum += int(b)
	}
	copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return data
}

// sparseTar makes an archive of a sparse file in the format 0.1 of GNU tar
// (https://www.gnu.org/software/tar/manual/html_node/PAX-0.html): the map has
// pairs of offset and length, and size is that of the whole file.
func sparseTar(t testing.TB, name, size, pieces string, stored int64) []byte {
	t.Helper()
	return hostileTar(t, tar.Header{Name: "GNUSparseFile.0/f", Size: stored, PAXRecords: map[string]string{
		"GNU_sparse.major": "0", "GNU_sparse.minor": "1", "GNU_sparse.name": name, "GNU_sparse.size": size,
		"GNU_sparse.numblocks": fmt.Sprint((strings.Count(pieces, ",") + 1) / 2), "GNU_sparse.map": pieces,
	}})
}
