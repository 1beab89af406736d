package fsck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/model"
)

// checkItems looks at the content files of all data items.
func (s *store) checkItems(ctx context.Context) error {
	for _, kind := range model.Kinds {
		err := s.tx.EachData(kind, func(id string, item *model.Data) error {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			return s.checkContent(Object{Kind: kind, ID: id, Item: item.Key}, item.Content)
		})
		if err := intact(err); err != nil {
			return err
		}
	}
	return nil
}

// checkContent compares a content file with what is recorded about it.
func (s *store) checkContent(object Object, c model.Content) error {
	s.report.Checked.Files++
	finding := Finding{Object: &object, Realm: InRoot, Place: c.Path, Lost: &Lost{Content: c}}
	report := func(code Code, expected, found string) {
		finding.Code, finding.Expected, finding.Found = code, expected, found
		s.add(finding)
	}
	file := fmt.Sprintf("a file of %d bytes", c.Size)
	stat, err := s.files.Stat(c.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		report(CodeMissing, file, "nothing")
		return nil
	case errors.Is(err, model.ErrInvalid):
		report(CodeKind, file, "a path that no content file can have")
		return nil
	case errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR):
		report(CodeKind, file, "something else than directories on the way to it")
		return nil
	case err != nil:
		return s.unreadable(Finding{Object: &object, Realm: InRoot, Place: c.Path, Expected: file}, err)
	case stat.Mode&unix.S_IFMT != unix.S_IFREG:
		report(CodeKind, file, drivers.KindOfFile(stat.Mode))
		return nil
	}
	if stat.Size != c.Size {
		report(CodeSize, file, fmt.Sprintf("%d bytes", stat.Size))
	}
	finding.Lost = nil
	if stat.Mode&0o077 != 0 {
		finding.Fix = &drivers.Fix{Op: drivers.FixChmod, Path: c.Path, Mode: 0o600}
		report(CodeAccess, "mode 0600", fmt.Sprintf("mode %04o", stat.Mode&0o7777))
	}
	if stat.Uid != s.owner {
		finding.Fix = &drivers.Fix{Op: drivers.FixChown, Path: c.Path, Owner: s.owner}
		report(CodeOwner, fmt.Sprintf("user %d, whom the database belongs to", s.owner), fmt.Sprintf("user %d", stat.Uid))
	}
	return nil
}
