package overlay

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/internal/at"
	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/model"
)

// The option "force_mask" gives every file of new layers the same mode and
// whoever runs the driver as its owner: for homes in file systems that know no
// other owners. What the files should have is in archive.OverrideAttr. Mount
// programs show that; the kernel does not, so it mounts such layers for reading
// only.

// forceMarkFile says that layers of the home may have forced modes. It stays
// when the option goes.
const forceMarkFile = ".has-force-mask"

// setForceMask reads the option.
func (o *options) setForceMask(value string) error {
	switch value {
	case "":
		o.forceMask = nil
	case "shared":
		o.forceMask = new(uint32(0o755))
	case "private":
		o.forceMask = new(uint32(0o700))
	default:
		const bits = 12
		mask, err := strconv.ParseUint(value, 8, bits)
		if err != nil {
			return fmt.Errorf("option %s=%q: %w: it is neither an octal number up to 7777, nor \"shared\", nor \"private\"", "force_mask", value, model.ErrInvalid)
		}
		o.forceMask = new(uint32(mask))
	}
	return nil
}

// noteForcing marks the home before the first file with a forced mode is made. Where a
// mount program is used, that gets an attribute which only such programs read.
func (d *Driver) noteForcing() error {
	if d.options.forceMask == nil {
		return nil
	}
	return errors.Join(d.noteProgram(), noteOnce(d.layers.Dir, forceMarkFile))
}

// ForcedModes implements drivers.ModeForcer.
func (d *Driver) ForcedModes(ctx context.Context, id string) (forced archive.Overrides, err error) {
	layer, err := d.find(id)
	if err != nil {
		return archive.OverridesIgnored, err
	}
	defer func() { err = errors.Join(err, layer.Close()) }()
	noted, err := d.marksOf(ctx, layer)
	switch {
	case err != nil || !noted.forced:
		return archive.OverridesIgnored, err
	case d.helper != "":
		return archive.OverridesForTypes, nil
	default:
		return archive.OverridesBelieved, nil
	}
}

// forcesOwn tells whether layers in the driver's own home may have forced modes.
func (d *Driver) forcesOwn() bool {
	// A mark that cannot be read is an error when the driver is opened.
	isMarked, err := hasMark(d.layers.Dir, forceMarkFile)
	return err == nil && isMarked
}

// checkForced reports whether a stack, which may have forced modes, can be mounted.
func (d *Driver) checkForced(s *stack, forced bool) error {
	if forced && d.helper == "" && s.upper != nil {
		return fmt.Errorf("%w: with the option %q layers are mounted for writing only by a %q",
			model.ErrUnsupported, "force_mask", "mount_program")
	}
	return nil
}

// overrideAttr is the attribute that layers of this driver get. Of the two that
// fuse-overlayfs(1) knows it expects one in all of a layer to which it writes, and
// that is its own.
func (d *Driver) overrideAttr() string {
	if d.helper != "" {
		return "user.fuseoverlayfs.override_stat"
	}
	return archive.OverrideAttr
}

// inheritForced takes from the directory with the parent's content what it should
// have, if that is forced.
func (d *Driver) inheritForced(parent content, layer *plan) error {
	if isMarked, err := hasMark(parent.home.Dir, forceMarkFile); err != nil || !isMarked {
		return err
	}
	for _, attr := range []string{d.overrideAttr(), archive.OverrideAttr} {
		value, err := parent.Xattr(".", attr)
		if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
			continue
		}
		if err != nil {
			return err
		}
		uid, gid, mode, err := archive.ParseOverride(string(value))
		layer.contentOwner, layer.contentMode = drivers.Owner{UID: uid, GID: gid}, mode
		return err
	}
	return nil
}

// makeContent makes the directory for the content of a layer.
func (d *Driver) makeContent(dir *at.Dir, p *plan) error {
	mask := d.options.forceMask
	if mask == nil {
		return dir.Mkdir(contentDir, p.contentMode, p.contentOwner.UID, p.contentOwner.GID)
	}
	if err := d.noteForcing(); err != nil {
		return err
	}
	if err := dir.Mkdir(contentDir, *mask, p.owner.UID, p.owner.GID); err != nil {
		return err
	}
	override := archive.FormatOverride(&unix.Stat_t{
		Uid: uint32(p.contentOwner.UID), Gid: uint32(p.contentOwner.GID), Mode: unix.S_IFDIR | p.contentMode,
	})
	return dir.SetXattr(contentDir, d.overrideAttr(), []byte(override))
}
