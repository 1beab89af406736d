package pipeline

import (
	"crypto/sha256"
	"hash"

	"github.com/opencontainers/go-digest"
)

// Sum takes a stream and computes its SHA-256 digest and its size.
type Sum struct {
	hash hash.Hash
	size int64
}

// NewSum returns the sum of an empty stream.
func NewSum() *Sum { return &Sum{hash: sha256.New()} }

// Write takes a part of the stream.
func (s *Sum) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	return s.hash.Write(p)
}

// Digest returns the digest of what has been taken.
func (s *Sum) Digest() digest.Digest { return digest.NewDigest(digest.SHA256, s.hash) }

// Size returns how many bytes have been taken.
func (s *Sum) Size() int64 { return s.size }
