package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/csdb/csdb/model"
)

// The exit statuses. The description of the program lists them.
const (
	exitOK         = 0
	exitFailed     = 1 // wrong command line, unknown object, internal error, interrupt
	exitDamaged    = 2 // something in the store is damaged
	exitRepairable = 3 // fsck: something is to be repaired, and nothing is damaged; du: a size differs
	exitUnreadable = 4 // the store could not be read, or not all of it
	exitBusy       = 5 // somebody kept the store locked for too long
)

// statusError ends the program with a status when everything has been said.
type statusError int

// ending is the error that ends the program with a status, nil for exitOK.
func ending(status int) error {
	if status == exitOK {
		return nil
	}
	return statusError(status)
}

// Error names the status.
func (e statusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// errNoStore marks errors that keep a store from being opened.
var errNoStore = errors.New("no store can be read")

// report says what went wrong in one line, and returns the exit status.
func (p *program) report(err error) int {
	if err == nil {
		return exitOK
	}
	if status, ok := errors.AsType[statusError](err); ok {
		return int(status)
	}
	fmt.Fprintln(p.Stderr, "csdb:", oneLine(err))
	return status(err)
}

// status returns the exit status for an error.
func status(err error) int {
	_, usage := errors.AsType[*usageError](err)
	switch {
	case usage:
		return exitFailed
	case errors.Is(err, model.ErrBusy):
		return exitBusy
	case errors.Is(err, model.ErrCorrupt):
		return exitDamaged
	case errors.Is(err, errNoStore), errors.Is(err, fs.ErrPermission), errors.Is(err, model.ErrUnsupported):
		return exitUnreadable
	}
	return exitFailed
}

// oneLine writes an error, which may be several joined ones, in one line.
func oneLine(err error) string {
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}
