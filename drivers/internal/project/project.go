// Package project limits how much trees of a file system may take, by its
// project quotas: a tree whose root has a project, and hands it on to what is
// made below, is counted and limited as one. XFS and ext4 have them
// (xfs_quota(8), tune2fs(8)).
//
// The system calls are those of the kernel's Documentation/filesystems/quota.rst
// and linux/fs.h. Limits are set by quotactl_fd(2), for which no block device
// has to be found; it came with Linux 5.14.
package project

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

// ID is the number of a project. None is the one of all files that have no
// other.
type ID uint32

// None is the project of what is in no project.
const None ID = 0

// first is the first of the projects that New returns. The lower half is left to
// people (projid(5)) and to other programs, which count from below.
const first ID = 1 << 31

// Limits are how much a project may take. 0 is no limit. They hold on ext4 for
// all but processes with CAP_SYS_RESOURCE: for who writes through an overlay, and
// not for root who writes below it.
type Limits struct {
	Bytes  uint64 // on disk, rounded up to blocks
	Inodes uint64
}

// Usage is how much a project takes.
type Usage struct {
	Bytes  uint64 // on disk
	Inodes uint64
}

// Ours tells whether an ID can be one that New has returned.
func (id ID) Ours() bool { return id >= first && uint32(id) != ^uint32(0) }

// Check reports why no limits can be set in the file system of an open file;
// nil if they can. The error matches model.ErrUnsupported if there are none.
func Check(fd int) error {
	state, err := quotaState(fd)
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ESRCH), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOTTY), errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w: it has no project quotas, or the kernel knows none (%w)", model.ErrUnsupported, err)
	case err != nil:
		return err
	case state&accounted == 0:
		return fmt.Errorf("%w: it is mounted without project quotas (option prjquota)", model.ErrUnsupported)
	case state&enforced == 0:
		return fmt.Errorf("%w: its project quotas are counted and not enforced (option prjquota)", model.ErrUnsupported)
	}
	return nil
}

// New returns a project that nothing belongs to and that has no limits. Nobody
// reserves it: it is taken at random from so many that two callers do not meet.
func New(fd int) (ID, error) {
	const attempts = 100
	for range attempts {
		id := first + ID(rand.Uint32N(uint32(first)-1)) //nolint:gosec // it need not be secret
		limits, usage, err := Get(fd, id)
		if err != nil {
			return None, err
		}
		if limits == (Limits{}) && usage == (Usage{}) {
			return id, nil
		}
	}
	return None, fmt.Errorf("%w: no project is free", model.ErrNoSpace)
}

// Get returns the limits of a project and what it takes.
func Get(fd int, id ID) (Limits, Usage, error) {
	q, err := getQuota(fd, id)
	if err != nil {
		return Limits{}, Usage{}, fmt.Errorf("quota of project %d: %w", id, err)
	}
	return Limits{Bytes: q.blockHard * blockSize, Inodes: q.inodeHard}, Usage{Bytes: q.space, Inodes: q.inodes}, nil
}

// Set sets the limits of a project. One with no limits, to which nothing
// belongs, is as if it had never been there.
func Set(fd int, id ID, limits Limits) error {
	blocks := limits.Bytes / blockSize
	if limits.Bytes%blockSize != 0 {
		blocks++
	}
	q := quota{
		blockHard: blocks, blockSoft: blocks, inodeHard: limits.Inodes, inodeSoft: limits.Inodes,
		valid: validBlockLimits | validInodeLimits,
	}
	if err := setQuota(fd, id, &q); err != nil {
		return fmt.Errorf("limits of project %d: %w", id, err)
	}
	return nil
}

// Of returns the project of an open file or directory. A file system that
// knows no projects has all in None.
func Of(fd int) (ID, error) {
	attributes, err := getAttributes(fd)
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return None, nil
	}
	return ID(attributes.project), err
}

// Put makes an open directory, and everything that is made below it from now
// on, part of a project.
func Put(fd int, id ID) error {
	attributes, err := getAttributes(fd)
	if err != nil {
		return err
	}
	attributes.project = uint32(id)
	attributes.flags |= inherited
	return setAttributes(fd, attributes)
}
