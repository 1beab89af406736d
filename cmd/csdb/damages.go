package main

import (
	"errors"
	"fmt"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// damages collects what is damaged, so that it can be told when everything that
// is intact has been shown.
type damages struct {
	errs []error
	seen map[string]bool
}

// note keeps an error that says that something is damaged, and returns any
// other one. A damaged record is kept once, however often one comes upon it.
func (d *damages) note(err error) error {
	if err == nil || !errors.Is(err, model.ErrCorrupt) {
		return err
	}
	records := damagedRecords(err)
	if len(records) == 0 {
		records = []error{err}
	}
	if d.seen == nil {
		d.seen = make(map[string]bool)
	}
	for _, record := range records {
		if text := record.Error(); !d.seen[text] {
			d.seen[text] = true
			d.errs = append(d.errs, record)
		}
	}
	return nil
}

// damagedRecords returns what an error, which may be several joined ones, says
// about single records.
func damagedRecords(err error) []error {
	var record *db.RecordError
	if errors.As(err, &record) && err == error(record) { //nolint:errorlint // Others are taken apart below.
		return []error{record}
	}
	switch wrapper := err.(type) { //nolint:errorlint // It goes through all of them.
	case interface{ Unwrap() error }:
		return damagedRecords(wrapper.Unwrap())
	case interface{ Unwrap() []error }:
		var records []error
		for _, part := range wrapper.Unwrap() {
			records = append(records, damagedRecords(part)...)
		}
		return records
	}
	return nil
}

// err returns all that was noted, and where more is to be learned.
func (d *damages) err() error {
	if len(d.errs) == 0 {
		return nil
	}
	return fmt.Errorf("%w; \"csdb fsck\" tells what suffers from it", errors.Join(d.errs...))
}
