package db

import "fmt"

// FileInfo describes the file of a database.
type FileInfo struct {
	// Size is in bytes, and so is PageSize.
	Size     int64
	PageSize int
	// Pages are all pages up to the highest one ever used, Free those of them
	// that hold nothing.
	Pages, Free int
	// TxID is the number of the last transaction.
	TxID int
}

// FileInfo describes the file as the transaction sees it. Unlike CheckPages it
// reads nothing but the list of free pages.
func (tx *ReadTx) FileInfo() (FileInfo, error) {
	if tx.bolt == nil {
		return FileInfo{}, errDone
	}
	stat, err := tx.file.Stat()
	if err != nil {
		return FileInfo{}, err
	}
	info := FileInfo{Size: stat.Size(), PageSize: int(tx.guard.source.size), Pages: int(tx.guard.source.count), TxID: int(tx.snapshot())}
	m, err := newestMeta(tx.file)
	if err == nil && m.freelist != noFreelist {
		info.Free, err = tx.countFree(m)
	}
	if err != nil {
		return info, &DamageError{Path: tx.path, Err: err}
	}
	return info, nil
}

// countFree counts the pages that are free according to a meta page.
func (tx *ReadTx) countFree(m meta) (int, error) {
	p, err := pageSource{file: tx.file, size: int64(m.pageSize), count: m.pageCount}.read(m.freelist)
	if err != nil {
		return 0, fmt.Errorf("freelist: %w", err)
	}
	free, err := p.freePages()
	return len(free), err
}
