package model

import (
	"errors"
	"fmt"
)

// The error classes. Every error that this module returns because of what it
// was asked, or because of what it found, matches one of them with errors.Is;
// the message says the rest. All other errors come from the operating system.
var (
	// ErrNotFound: the object, name, digest or data item does not exist.
	ErrNotFound = errors.New("not found")
	// ErrExists: the ID or name is taken.
	ErrExists = errors.New("already exists")
	// ErrInUse: something else still needs the object.
	ErrInUse = errors.New("in use")
	// ErrInvalid: an argument, archive or configuration makes no sense.
	ErrInvalid = errors.New("invalid")
	// ErrReadOnly: the store, or the transaction, can only be read.
	ErrReadOnly = errors.New("read-only")
	// ErrBusy: somebody holds a lock, or the store changed meanwhile; the
	// same call may succeed later.
	ErrBusy = errors.New("busy")
	// ErrCorrupt: what is stored is damaged.
	ErrCorrupt = errors.New("corrupt")
	// ErrUnsupported: the driver, the file system, the kernel or this version
	// of the program cannot do it.
	ErrUnsupported = errors.New("not supported")
	// ErrNoSpace: the disk is full, or so nearly full that the space left is
	// kept for deletions.
	ErrNoSpace = errors.New("no space left")
)

// Situations that callers tell apart. Each belongs to a class, so that
// errors.Is(err, ErrNotFound) holds for an unknown layer too. The texts are
// those that scripts of containers-storage look for.
var (
	ErrLayerUnknown          = situation(ErrNotFound, "layer not known")
	ErrImageUnknown          = situation(ErrNotFound, "image not known")
	ErrContainerUnknown      = situation(ErrNotFound, "container not known")
	ErrNotALayer             = situation(ErrNotFound, "identifier is not a layer")
	ErrNotAnImage            = situation(ErrNotFound, "identifier is not an image")
	ErrNotAContainer         = situation(ErrNotFound, "identifier is not a container")
	ErrNotAnID               = situation(ErrNotFound, "identifier is not a layer, image, or container")
	ErrDataUnknown           = situation(ErrNotFound, "data item does not exist")
	ErrSizeUnknown           = situation(ErrNotFound, "size is not known")
	ErrDigestUnknown         = situation(ErrNotFound, "could not compute digest of item")
	ErrLeaseUnknown          = situation(ErrNotFound, "lease not known")
	ErrDuplicateID           = situation(ErrExists, "that ID is already in use")
	ErrDuplicateName         = situation(ErrExists, "that name is already in use")
	ErrLeaseExists           = situation(ErrExists, "there is a lease with that ID already")
	ErrLayerHasChildren      = situation(ErrInUse, "layer has children")
	ErrLayerUsedByImage      = situation(ErrInUse, "layer is in use by an image")
	ErrLayerUsedByContainer  = situation(ErrInUse, "layer is in use by a container")
	ErrImageUsedByContainer  = situation(ErrInUse, "image is in use by a container")
	ErrLayerMounted          = situation(ErrInUse, "layer is mounted")
	ErrLeased                = situation(ErrInUse, "it is leased")
	ErrHeld                  = situation(ErrInUse, "another store needs it")
	ErrLayerNotMounted       = situation(ErrInvalid, "layer is not mounted")
	ErrParentIsContainer     = situation(ErrInvalid, "would-be parent layer is a container")
	ErrDataKeyInvalid        = situation(ErrInvalid, "not a valid name for a big data item")
	ErrInvalidMappings       = situation(ErrInvalid, "invalid mappings specified")
	ErrIncompleteOptions     = situation(ErrInvalid, "missing necessary StoreOptions")
	ErrStoreIsReadOnly       = situation(ErrReadOnly, "called a write method on a read-only store")
	ErrDriverNotSupported    = situation(ErrUnsupported, "driver not supported")
	ErrDriverPrerequisites   = situation(ErrUnsupported, "prerequisites for driver not satisfied")
	ErrIncompatibleFS        = situation(ErrUnsupported, "backing file system is unsupported for this graph driver")
	ErrNested                = situation(ErrInvalid, "transaction begun inside another one of the same store")
	ErrClosed                = situation(ErrInvalid, "store is closed")
	ErrStagedOnOtherParent   = situation(ErrBusy, "staged on top of a layer that is not the committed one; stage it again")
	ErrDamaged               = situation(ErrCorrupt, "marked as damaged")
	ErrLayerContentIncorrect = situation(ErrCorrupt, "layer content incorrect digest")
)

// situationError is a sentinel that belongs to a class.
type situationError struct {
	text  string
	class error
}

func situation(class error, text string) error { return &situationError{text: text, class: class} }

// Error returns the text of the situation.
func (e *situationError) Error() string { return e.text }

// Unwrap returns the class of the situation.
func (e *situationError) Unwrap() error { return e.class }

// ObjectError says which object an error is about.
type ObjectError struct {
	Kind Kind   // kind of the object
	ID   string // its ID, or what the caller gave to find it
	Err  error
}

// Error names the object and then the error.
func (e *ObjectError) Error() string { return fmt.Sprintf("%s %q: %v", e.Kind, e.ID, e.Err) }

// Unwrap returns the error without the object.
func (e *ObjectError) Unwrap() error { return e.Err }

// OnObject wraps err so that it names an object; a nil err stays nil, and an
// error that names the same object already is returned as it is.
func OnObject[ID ~string](kind Kind, id ID, err error) error {
	if err == nil {
		return nil
	}
	var known *ObjectError
	if errors.As(err, &known) && known.Kind == kind && known.ID == string(id) {
		return err
	}
	return &ObjectError{Kind: kind, ID: string(id), Err: err}
}

// Unknown returns the error for an object of the given kind that does not
// exist.
func Unknown[ID ~string](kind Kind, id ID) error {
	err := ErrNotAnID
	switch kind {
	case KindLayer:
		err = ErrLayerUnknown
	case KindImage:
		err = ErrImageUnknown
	case KindContainer:
		err = ErrContainerUnknown
	}
	return OnObject(kind, id, err)
}
