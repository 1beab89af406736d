package fsck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/moby/sys/mountinfo"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// readRun learns from the run database what has been begun, and what is mounted.
// A run root without such a database, or with one that is damaged, says nothing:
// it would be made anew.
func (s *store) readRun(ctx context.Context) error {
	s.staged, s.mounts = make(map[string]db.Staged), nil
	if s.options.RunRoot == "" || s.report.UUID == "" {
		return nil
	}
	err := db.ExamineRun(ctx, s.options.RunRoot, s.report.UUID, func(tx *db.RunTx) error {
		staged, errStaged := tx.Staged()
		for _, begun := range staged {
			s.staged[begun.Path] = begun
		}
		var errMounts error
		s.mounts, errMounts = tx.Mounts()
		return errors.Join(errStaged, errMounts)
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
		if _, err := s.tx.Layer(m.Layer); errors.Is(err, model.ErrNotFound) {
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
