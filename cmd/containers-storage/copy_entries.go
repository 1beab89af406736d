package main

import (
	"archive/tar"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/csdb/csdb/model"
)

// copyEntries are the entries of the archive of what is copied, each with the
// name and the owner that its copy gets; before them come the directories that
// are missing. It is an archive.Source.
type copyEntries struct {
	*tar.Reader

	made  []*tar.Header // the directories that are still to come
	from  *copySource
	to    *copyTarget
	owner *fileOwner // of the copies, or nil
	found bool       // tells that the source had an entry
}

func newCopyEntries(r io.Reader, from *copySource, to *copyTarget, now time.Time, owner *fileOwner) *copyEntries {
	c := &copyEntries{Reader: tar.NewReader(r), from: from, to: to, owner: owner}
	for name := to.missing; name != "" && name != "."; name = path.Dir(name) {
		c.made = append(c.made, &tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: now})
	}
	return c
}

// Next returns the next entry.
func (c *copyEntries) Next() (*tar.Header, error) {
	hdr, err := c.next()
	if err != nil {
		return nil, err
	}
	if c.owner != nil {
		hdr.Uid, hdr.Gid = c.owner.uid, c.owner.gid
	}
	// In an archive these mean deletions.
	if strings.Contains("/"+hdr.Name, "/.wh.") {
		return nil, fmt.Errorf("%w: the name of %q would be a whiteout", model.ErrInvalid, hdr.Name)
	}
	if hdr.Typeflag == tar.TypeChar && hdr.Devmajor == 0 && hdr.Devminor == 0 {
		return nil, fmt.Errorf("%w: the device %q would be a whiteout", model.ErrUnsupported, hdr.Name)
	}
	return hdr, nil
}

// next returns the next directory to make, or the next entry under its new name.
func (c *copyEntries) next() (*tar.Header, error) {
	if last := len(c.made) - 1; last >= 0 {
		hdr := c.made[last]
		c.made = c.made[:last]
		return hdr, nil
	}
	hdr, err := c.Reader.Next()
	if err != nil {
		return nil, err
	}
	c.found = true
	if c.from.entry != "" {
		hdr.Name = path.Join(c.to.missing, c.to.entry)
		return hdr, nil
	}
	hdr.Name = path.Join(c.to.missing, hdr.Name)
	if hdr.Typeflag == tar.TypeLink {
		hdr.Linkname = path.Join(c.to.missing, hdr.Linkname)
	}
	return hdr, nil
}
