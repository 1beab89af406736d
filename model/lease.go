package model

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
)

// leaseIDSize is the length of a generated lease ID in hexadecimal digits.
const leaseIDSize = 16

// MaxLeaseIDLength is the greatest length of the ID of a lease in bytes.
const MaxLeaseIDLength = 128

// NewLeaseID returns a random ID for a lease.
func NewLeaseID() string {
	var b [leaseIDSize / 2]byte
	_, _ = rand.Read(b[:]) // never fails, see newID
	return hex.EncodeToString(b[:])
}

// ValidateLeaseID reports whether id can name a lease. It stands in command
// lines that people are told to type, so it consists of the letters and digits
// of ASCII and of the characters . _ - of which none stands at the beginning.
func ValidateLeaseID(id string) error {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	reason := ""
	switch {
	case id == "":
		reason = "is empty"
	case len(id) > MaxLeaseIDLength:
		reason = fmt.Sprintf("is longer than %d bytes", MaxLeaseIDLength)
	case strings.ContainsFunc(id, func(r rune) bool { return !strings.ContainsRune(letters+"._-", r) }):
		reason = "has other characters than letters, digits and . _ -"
	case !strings.ContainsRune(letters, rune(id[0])):
		reason = "does not begin with a letter or a digit"
	}
	if reason == "" {
		return nil
	}
	return fmt.Errorf("lease ID %.150q %s: %w", id, reason, ErrInvalid)
}
