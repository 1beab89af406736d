package db

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"

	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

// errFault marks errors that began as a panic or a memory fault.
var errFault = errors.New("fault")

// DamageError says that the database file itself is damaged, and what to do.
// It matches model.ErrCorrupt.
type DamageError struct {
	Path string
	Err  error
}

// Error names the file, the damage and the way out.
func (e *DamageError) Error() string {
	return fmt.Sprintf("%v (the database %s is damaged: \"csdb fsck\" tells how far, \"csdb rescue\" or a backup brings it back)", e.Err, e.Path)
}

// Unwrap returns the class of the error and its reason.
func (e *DamageError) Unwrap() []error { return []error{model.ErrCorrupt, e.Err} }

// causedByFile tells whether a panic that is being recovered was caused by the
// database file: bbolt panics on what it does not expect, and memory that the
// file is mapped to cannot be read where the disk fails or the file has become
// shorter. Everything else is a mistake of a program, which nobody must hide.
func causedByFile(value any) bool {
	culprit := panickedIn()
	if strings.HasPrefix(culprit, "go.etcd.io/bbolt") {
		return true
	}
	// Only an address that is not mapped, or not any more, comes with an error
	// that tells it. A nil pointer does not.
	_, fault := value.(interface {
		runtime.Error
		Addr() uintptr
	})
	return fault && (strings.HasPrefix(culprit, "github.com/csdb/csdb/db.") ||
		strings.HasPrefix(culprit, "github.com/fxamacker/cbor"))
}

// panickedIn returns the function that panicked, or the first one outside of
// the standard library that had called it. It is called while the panic is
// being recovered, when the stack still shows where it began.
func panickedIn() string {
	var pcs [128]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	panicking := false
	for {
		frame, more := frames.Next()
		switch {
		case frame.Function == "runtime.gopanic":
			panicking = true
		case panicking && !inStandardLibrary(frame.Function):
			return frame.Function
		}
		if !more {
			return ""
		}
	}
}

// inStandardLibrary tells whether a function belongs to the standard library.
// Import paths of all others begin with a domain name.
func inStandardLibrary(function string) bool {
	first, _, isPath := strings.Cut(function, "/")
	if !isPath {
		return !strings.HasPrefix(function, "main.")
	}
	return !strings.Contains(first, ".")
}

// classify gives an error of bbolt its class.
func classify(path string, err error) error {
	if err == nil {
		return nil
	}
	for _, class := range []struct {
		of   error
		errs []error
	}{
		{model.ErrNoSpace, []error{unix.ENOSPC, unix.EDQUOT, bolterrors.ErrMaxSizeReached}},
		{model.ErrInvalid, []error{bolterrors.ErrKeyTooLarge, bolterrors.ErrValueTooLarge, bolterrors.ErrKeyRequired, bolterrors.ErrBucketNameRequired}},
		{model.ErrReadOnly, []error{bolterrors.ErrTxNotWritable, bolterrors.ErrDatabaseReadOnly}},
	} {
		if matchesAny(err, class.errs) {
			return fmt.Errorf("%w: %w", class.of, err)
		}
	}
	if matchesAny(err, []error{bolterrors.ErrInvalid, bolterrors.ErrVersionMismatch, bolterrors.ErrChecksum, io.ErrUnexpectedEOF, io.EOF}) {
		return &DamageError{Path: path, Err: err}
	}
	return err
}

func matchesAny(err error, targets []error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
