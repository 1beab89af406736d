package drivers

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

// Classify adds a class of package model to errors of the operating system
// that have one: model.ErrNoSpace for a full disk or a quota, and
// model.ErrReadOnly for a file system that cannot be written.
func Classify(err error) error {
	switch {
	case errors.Is(err, model.ErrNoSpace) || errors.Is(err, model.ErrReadOnly):
		return err
	case errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%w: %w", model.ErrNoSpace, err)
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w: %w", model.ErrReadOnly, err)
	}
	return err
}
