package db

import (
	"context"
	"fmt"
	"slices"
)

// inspect looks at what bbolt trusts when it opens a file, and returns the size
// of the file in bytes. From a meta page whose checksum is right bbolt goes on
// without a further look: it would die of a freelist with an absurd length,
// give out pages twice that a damaged one lists, and read beyond the end of a
// file that has become shorter.
func (h *handle) inspect(ctx context.Context) (size int64, err error) {
	info, err := h.file.Stat()
	if err != nil {
		return 0, err
	}
	size = info.Size()
	m, err := newestMeta(h.file)
	if err == nil && m.pageCount > uint64(size)/uint64(m.pageSize) {
		err = fmt.Errorf("%d pages of %d bytes in a file of %d bytes", m.pageCount, m.pageSize, size)
	}
	if err == nil && h.writable {
		err = h.inspectFreelist(ctx, m, size)
	}
	if err != nil && context.Cause(ctx) == nil {
		err = &DamageError{Path: h.path, Err: err}
	}
	return size, err
}

// inspectFreelist looks whether bbolt can use the freelist.
func (h *handle) inspectFreelist(ctx context.Context, m meta, size int64) error {
	if m.freelist == noFreelist {
		return h.inspectTree(ctx, m, size)
	}
	p, err := pageSource{file: h.file, size: int64(m.pageSize), count: m.pageCount}.read(m.freelist)
	if err != nil {
		return fmt.Errorf("freelist: %w", err)
	}
	free, err := p.freePages()
	if err != nil {
		return err
	}
	for _, used := range []uint64{m.root, m.freelist} {
		if _, found := slices.BinarySearch(free, used); found {
			return fmt.Errorf("page %d is in use and in the freelist", used)
		}
	}
	return nil
}

// inspectTree looks at the whole tree of a file without a freelist, which some
// program has written that uses bbolt otherwise than we do: bbolt would find
// the free pages by a walk over all others, in a goroutine whose panic nobody
// can stop.
func (h *handle) inspectTree(ctx context.Context, m meta, size int64) error {
	report := &PageReport{}
	if err := checkPages(ctx, h.file, m, size, report); err != nil {
		return err
	}
	if len(report.Problems) > 0 {
		return fmt.Errorf("%s", report.Problems[0])
	}
	return nil
}
