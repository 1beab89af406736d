package archive

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

// badStream marks the errors of archive/tar as the archive's fault. Errors of
// the reader below it stay as they are.
func badStream(err error) error {
	// Not all errors of archive/tar are exported.
	fault := errors.Is(err, io.ErrUnexpectedEOF) || strings.HasPrefix(err.Error(), "archive/tar: ")
	if !fault || errors.Is(err, model.ErrInvalid) {
		return err
	}
	return fmt.Errorf("%w archive: %w", model.ErrInvalid, err)
}

// invalid marks an error as the archive's fault if the system call can only
// have failed because of what the archive asked for.
func invalid(err error) error {
	var errno unix.Errno
	if !errors.As(err, &errno) || errors.Is(err, model.ErrInvalid) {
		return err
	}
	faults := []unix.Errno{unix.ENOTDIR, unix.ELOOP, unix.ENAMETOOLONG, unix.EINVAL, unix.ERANGE, unix.E2BIG, unix.EFBIG}
	if slices.Contains(faults, errno) {
		return fmt.Errorf("%w: %w", model.ErrInvalid, err)
	}
	return err
}

// noSpace marks the errors of a full disk.
func noSpace(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", model.ErrNoSpace, err)
	}
	return err
}

// fileError says which file of a tree an error is about.
type fileError struct {
	name string
	err  error
}

// aboutFile wraps err so that it names a file, unless it names one already: in
// a recursion the innermost file counts.
func aboutFile(name string, err error) error {
	var known *fileError
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &fileError{name: name, err: err}
}

// Error names the file and then the error.
func (e *fileError) Error() string { return fmt.Sprintf("%q: %v", shortName(e.name), e.err) }

// Unwrap returns the error without the file.
func (e *fileError) Unwrap() error { return e.err }
