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

// checkRun compares what the run database says with the kernel, and learns from
// it what has been begun. A run root without such a database, or with one that
// is damaged, says nothing: it would be made anew.
func (s *store) checkRun(ctx context.Context) error {
	s.staged = make(map[string]db.Staged)
	if s.options.RunRoot == "" || s.report.UUID == "" {
		return nil
	}
	var mounts []db.Mount
	err := db.ExamineRun(ctx, s.options.RunRoot, s.report.UUID, func(tx *db.RunTx) error {
		staged, errStaged := tx.Staged()
		for _, begun := range staged {
			s.staged[begun.Path] = begun
		}
		var errMounts error
		mounts, errMounts = tx.Mounts()
		return errors.Join(errStaged, errMounts)
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, model.ErrCorrupt) {
		err = nil
	}
	if err != nil {
		return err
	}
	return s.checkMounts(mounts)
}

// checkMounts looks for mounts that are noted and are not there.
func (s *store) checkMounts(mounts []db.Mount) error {
	for _, m := range mounts {
		found, err := s.staleMount(&m)
		if err != nil {
			return err
		}
		if found != "" {
			s.add(Finding{
				Code: CodeMount, Object: layerObject(m.Layer), Realm: InRunRoot, Place: m.Path,
				Expected: fmt.Sprintf("a mount, counted as %d", m.Count), Found: found,
			})
		}
	}
	return nil
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
