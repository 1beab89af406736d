package dedup

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"hash/crc64"
	"slices"

	"github.com/csdb/csdb/model"
)

// Method says how files of one size are told apart before the kernel compares
// them. All methods come to the same result. "" means CRC.
type Method string

// The methods, from the one that reads least to the one that compares least.
const (
	Size   Method = "size"   // not at all
	CRC    Method = "crc"    // by the CRC-64 of ECMA-182
	SHA256 Method = "sha256" // by the SHA-256
)

// methods are in the order in which they follow each other where one does not
// tell enough files apart.
var methods = []Method{Size, CRC, SHA256}

// ParseMethod returns the method of the given name. The error matches
// model.ErrInvalid.
func ParseMethod(name string) (Method, error) {
	m := Method(name)
	if m == "" {
		m = CRC
	}
	if !slices.Contains(methods, m) {
		return "", fmt.Errorf("%w: hash method %q is not one of %q", model.ErrInvalid, name, methods)
	}
	return m, nil
}

// stronger returns the method that tells more files apart, if there is one.
func (m Method) stronger() (next Method, ok bool) {
	i := slices.Index(methods, m)
	if i+1 == len(methods) {
		return m, false
	}
	return methods[i+1], true
}

// hash returns the hash of a method that has one.
func (m Method) hash() hash.Hash {
	if m == SHA256 {
		return sha256.New()
	}
	return crc64.New(crc64.MakeTable(crc64.ECMA))
}
