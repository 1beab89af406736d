package db

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/model"
)

// PageReport is what CheckFile finds out about the pages of a database file.
type PageReport struct {
	// TxID is the last transaction that was committed.
	TxID uint64
	// PageSize is in bytes. Pages are all pages up to the highest one ever
	// used, Free those of them that hold nothing.
	PageSize, Pages, Free int
	// Problems are ordered by what they are about.
	Problems []Problem
}

// The kinds of problem with pages.
const (
	ProblemPage ProblemCode = "page" // a page that holds something is damaged
	ProblemFree ProblemCode = "free" // it is not clear which pages hold nothing
	ProblemMeta ProblemCode = "meta" // a meta page is damaged, and the other one is intact
)

// CheckFile looks at the pages of a database file that nobody writes to:
// whether they form a tree whose keys are in order, and whether each page is
// either part of it or free. It opens the file for reading only, and takes no
// lock. An error means that it could not look, or that there is no database
// in the file.
func CheckFile(ctx context.Context, path string) (*PageReport, error) {
	f, info, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	m, err := newestMeta(f)
	if err != nil {
		return nil, &DamageError{Path: path, Err: err}
	}
	report := &PageReport{}
	_, errs := readMetas(f)
	for i, err := range errs {
		if err != nil {
			report.Problems = append(report.Problems, Problem{
				Code: ProblemMeta, Place: fmt.Sprintf("page %d", i), Expected: "a valid meta page", Found: err.Error(),
			})
		}
	}
	return report, checkPages(ctx, f, m, info.Size(), report)
}

// openRegular opens a file for reading, which must be a regular one.
func openRegular(path string) (*os.File, os.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w: not a regular file", path, model.ErrInvalid)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// CheckPages is CheckFile for the state that the transaction sees. Others may
// write meanwhile.
func (tx *ReadTx) CheckPages(ctx context.Context) (*PageReport, error) {
	if tx.bolt == nil {
		return nil, errDone
	}
	info, err := tx.file.Stat()
	if err != nil {
		return nil, err
	}
	metas, errs := readMetas(tx.file)
	for i, m := range metas {
		// The meta page of an older transaction has been written over if
		// there have been two since.
		if errs[i] == nil && m.txID == tx.snapshot() {
			report := &PageReport{}
			return report, checkPages(ctx, tx.file, m, info.Size(), report)
		}
	}
	return nil, fmt.Errorf("database %s: %w: changed while it was being checked", tx.path, model.ErrBusy)
}

// intact returns an error if there is a problem with any page.
func (tx *ReadTx) intact(ctx context.Context) error {
	report, err := tx.CheckPages(ctx)
	if err == nil && len(report.Problems) > 0 {
		err = &DamageError{Path: tx.path, Err: errors.New(report.Problems[0].String())}
	}
	return err
}

// checkPages checks the state that a meta page describes.
func checkPages(ctx context.Context, file io.ReaderAt, m meta, size int64, report *PageReport) error {
	report.TxID, report.PageSize, report.Pages = m.txID, int(m.pageSize), int(m.pageCount)
	if there := uint64(size) / uint64(m.pageSize); m.pageCount > there {
		report.Problems = append(report.Problems, Problem{
			Code: ProblemPage, Place: "file", Expected: fmt.Sprintf("%d pages of %d bytes", m.pageCount, m.pageSize),
			Found: fmt.Sprintf("a file of %d bytes", size),
		})
		m.pageCount = there
	}
	w := &pageWalk{
		source:  pageSource{file: file, size: int64(m.pageSize), count: m.pageCount},
		meta:    m,
		proceed: func() error { return context.Cause(ctx) },
		report:  report,
		visited: make(map[uint64]bool),
	}
	return w.walk()
}
