package overlay

import (
	"context"
	"fmt"
	"slices"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/model"
)

// With the mount options "metacopy=on" and "redirect_dir=on", or where they are
// the kernel's default, an upper directory does not have all that was written: of
// a file whose mode was changed it has no content, and of a directory that was
// renamed only where it came from. A later mount without the options shows such
// layers wrongly or not at all, so the home notes that they were in use. That is
// looked up each time, for another process may just have written it.
const (
	metacopyMarkFile = ".has-metacopy"
	redirectMarkFile = ".has-redirect"
)

// Mount options that are about it.
const (
	redirectDir    = "redirect_dir"
	redirectOn     = "redirect_dir=on"
	redirectFollow = "redirect_dir=follow"
)

// indirection is what the upper directories of a home may leave to lower ones.
type indirection struct{ metacopy, redirect bool }

func (i indirection) any() bool { return i.metacopy || i.redirect }

// indirections returns what is noted in the home.
func indirections(home *at.Dir) (noted indirection, err error) {
	if noted.metacopy, err = hasMark(home, metacopyMarkFile); err != nil {
		return noted, err
	}
	noted.redirect, err = hasMark(home, redirectMarkFile)
	return noted, err
}

// noteIndirection notes what a mount for writing may do from now on.
func (d *Driver) noteIndirection(options *mountOptions) error {
	if d.helper != "" || d.userXattr { // nobody does it there
		return nil
	}
	if d.features.metacopy || slices.Contains(options.data, metacopyOn) {
		if err := noteOnce(d.layers.Dir, metacopyMarkFile); err != nil {
			return err
		}
	}
	// Metadata that are copied alone refer to their content as renamed
	// directories do, so the kernel does both.
	if !d.features.nativeDiff || slices.Contains(options.data, redirectOn) || slices.Contains(options.data, metacopyOn) {
		return noteOnce(d.layers.Dir, redirectMarkFile)
	}
	return nil
}

// followIndirection makes a mount show what other mounts have written.
func (d *Driver) followIndirection(options *mountOptions, noted indirection) {
	if d.helper != "" || d.userXattr { // nobody does it there
		return
	}
	if noted.metacopy {
		options.add(metacopyOn)
	}
	if noted.redirect && !options.has(redirectDir) && !noted.metacopy {
		options.add(redirectFollow)
	}
}

// readsDirectly tells whether the upper directories of a layer and of what is below
// it tell all changes by themselves.
func (d *Driver) readsDirectly(ctx context.Context, layer *drivers.Located) (bool, error) {
	if !d.features.nativeDiff {
		return false, nil
	}
	if err := d.checkMark(d.layers); err != nil {
		return false, err
	}
	noted, err := d.marksOf(ctx, layer)
	return err == nil && !noted.any(), err
}

// checkIndirection refuses a mount program for layers that none understands.
func (d *Driver) checkIndirection(noted indirection) error {
	if d.helper != "" && noted.any() {
		return fmt.Errorf("%w: layers were written with the mount options metacopy or redirect_dir, which no mount program understands", model.ErrUnsupported)
	}
	return nil
}
