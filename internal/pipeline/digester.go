package pipeline

import (
	"io"

	"github.com/opencontainers/go-digest"
)

// Digester passes a stream on and sums it up.
type Digester struct {
	r   io.Reader
	sum *Sum
}

// NewDigester returns a Digester of r.
func NewDigester(r io.Reader) *Digester { return &Digester{r: r, sum: NewSum()} }

// Read reads from the stream.
func (d *Digester) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	_, _ = d.sum.Write(p[:n]) // which cannot fail
	return n, err
}

// Digest returns the digest of what has been read.
func (d *Digester) Digest() digest.Digest { return d.sum.Digest() }

// Size returns how many bytes have been read.
func (d *Digester) Size() int64 { return d.sum.Size() }
