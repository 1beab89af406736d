package pipeline

import (
	"crypto/sha256"
	"hash"
	"io"

	"github.com/opencontainers/go-digest"
)

// Digester passes a stream on and computes its SHA-256 digest and its size.
type Digester struct {
	r    io.Reader
	hash hash.Hash
	size int64
}

// NewDigester returns a Digester of r.
func NewDigester(r io.Reader) *Digester { return &Digester{r: r, hash: sha256.New()} }

// Read reads from the stream.
func (d *Digester) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	d.hash.Write(p[:n])
	d.size += int64(n)
	return n, err
}

// Digest returns the digest of what has been read.
func (d *Digester) Digest() digest.Digest { return digest.NewDigest(digest.SHA256, d.hash) }

// Size returns how many bytes have been read.
func (d *Digester) Size() int64 { return d.size }
