package fsck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/moby/sys/mountinfo"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// readRun learns from the run database what has been begun, mounted and leased.
// A run root without such a database, or with one that is damaged, says nothing:
// it would be made anew.
func (s *store) readRun(ctx context.Context) error {
	s.staged, s.mounts, s.leases, s.badLease = make(map[string]db.Staged), nil, nil, nil
	if s.options.RunRoot == "" || s.report.UUID == "" {
		return nil
	}
	err := db.ExamineRun(ctx, s.options.RunRoot, s.report.UUID, func(tx *db.RunTx) error {
		staged, errStaged := tx.Staged()
		for _, begun := range staged {
			s.staged[begun.Path] = begun
		}
		var errMounts, errLeases error
		s.mounts, errMounts = tx.Mounts()
		s.leases, errLeases = tx.Leases()
		s.badLease, _ = errors.AsType[*db.RecordError](errLeases)
		return errors.Join(errStaged, errMounts, errLeases)
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, model.ErrCorrupt) {
		err = nil
	}
	return err
}

// staleMounts are those that are noted and not there.
func (s *store) staleMounts() (stale []Finding, err error) {
	for _, m := range s.mounts {
		found, err := s.staleMount(&m)
		if err != nil {
			return nil, err
		}
		if found == "" {
			continue
		}
		if changing, err := s.busy.OnMount(m.Layer); err != nil {
			return nil, err
		} else if changing {
			continue
		}
		stale = append(stale, Finding{
			Code: CodeMount, Object: layerObject(m.Layer), Realm: InRunRoot, Place: m.Path,
			Expected: fmt.Sprintf("a mount, counted as %d", m.Count), Found: found, Mount: &m,
		})
	}
	return stale, nil
}

// staleMount says what there is in place of a mount, or "" if it may be there.
func (s *store) staleMount(m *db.Mount) (found string, err error) {
	if !m.Kernel {
		if s.away {
			return "", nil
		}
		if _, err := s.anywhere().Layer(m.Layer); errors.Is(err, model.ErrNotFound) {
			return "no layer with that ID", nil
		}
		return "", nil
	}
	mounted, err := mountinfo.Mounted(m.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) || mounted {
		return "", err
	}
	return "nothing that is mounted, as far as can be seen from here", nil
}

// staleLeases are those that have not expired, and are about an object that does
// not exist: each such object is a finding. So is a lease that cannot be read.
func (s *store) staleLeases() (stale []Finding, err error) {
	if bad := s.badLease; bad != nil {
		stale = append(stale, Finding{
			Code: CodeBadLease, Realm: InRunRoot, Place: bad.Key, Expected: "a lease", Found: bad.Err.Error(),
		})
	}
	for _, lease := range s.leases {
		if lease.Expired(s.begun) {
			continue
		}
		for _, o := range lease.Objects {
			err := s.recorded(o)
			if s.away || !errors.Is(err, model.ErrNotFound) {
				if err := intact(err); err != nil {
					return nil, err
				}
				continue
			}
			stale = append(stale, Finding{
				Code: CodeLease, Object: &Object{Kind: o.Kind, ID: o.ID}, Realm: InRunRoot, Place: lease.ID,
				Expected: fmt.Sprintf("%s %s, leased by %q until %s", o.Kind, o.ID, lease.Command, lease.Expires.Format(time.RFC3339)),
				Found:    fmt.Sprintf("no %s with that ID", o.Kind),
			})
		}
	}
	return stale, nil
}

// anywhere are the records of this store and of the others.
func (c *checker) anywhere() records { return slices.Concat(c.tx, c.stores()) }

// recorded returns an error unless an object has a record that can be read.
func (s *store) recorded(o db.LeasedObject) (err error) {
	switch o.Kind {
	case model.KindLayer:
		_, err = s.anywhere().Layer(model.LayerID(o.ID))
	case model.KindImage:
		_, err = s.anywhere().Image(model.ImageID(o.ID))
	case model.KindContainer:
		_, err = s.tx.Container(model.ContainerID(o.ID))
	}
	return err
}
