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
	return fmt.Sprintf("%v (the database is damaged: %q tells how far, a backup or `csdb backup` of an intact copy brings it back)",
		e.Err, "csdb fsck "+e.Path)
}

// Unwrap returns the class of the error and its reason.
func (e *DamageError) Unwrap() []error { return []error{model.ErrCorrupt, e.Err} }

// catch turns a panic that came from bbolt, or from reading the file that it
// maps into memory, into an error. Any other panic goes on. It is to be
// deferred.
func catch(path string, err *error) {
	value := recover()
	if value == nil {
		return
	}
	if !isFault(value) && !panickedInBolt() {
		panic(value)
	}
	*err = &DamageError{Path: path, Err: fmt.Errorf("%w: %v", errFault, value)}
}

// isFault tells whether a panic stands for an access to memory that is not
// there: a page of the file that cannot be read, or lies beyond its end.
// debug.SetPanicOnFault gives such an error its address.
func isFault(value any) bool {
	_, ok := value.(interface {
		runtime.Error
		Addr() uintptr
	})
	return ok
}

// panickedInBolt tells whether the function that panicked belongs to bbolt. It
// is called while the panic is being recovered, when the stack still shows
// where it began.
func panickedInBolt() bool {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	panicking := false
	for {
		frame, more := frames.Next()
		switch {
		case frame.Function == "runtime.gopanic":
			panicking = true
		case panicking && !strings.HasPrefix(frame.Function, "runtime."):
			return strings.HasPrefix(frame.Function, "go.etcd.io/bbolt")
		}
		if !more {
			return false
		}
	}
}

// classify gives an error of bbolt its class.
func classify(path string, err error) error {
	for _, damage := range []error{
		bolterrors.ErrInvalid, bolterrors.ErrVersionMismatch, bolterrors.ErrChecksum, io.ErrUnexpectedEOF, io.EOF,
	} {
		if errors.Is(err, damage) {
			return &DamageError{Path: path, Err: err}
		}
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, bolterrors.ErrMaxSizeReached) {
		return fmt.Errorf("%w: %w", model.ErrNoSpace, err)
	}
	if errors.Is(err, bolterrors.ErrKeyTooLarge) || errors.Is(err, bolterrors.ErrValueTooLarge) || errors.Is(err, bolterrors.ErrKeyRequired) {
		return fmt.Errorf("%w: %w", model.ErrInvalid, err)
	}
	return err
}
