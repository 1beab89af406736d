// Package dbtest opens databases in tests and checks them when the test ends.
package dbtest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/csdb/csdb/db"
)

// Driver is the driver of databases made by New.
const Driver = "vfs"

// New makes a database in a temporary directory. When the test ends it is
// checked and closed.
func New(t testing.TB, options db.Options) *db.DB {
	t.Helper()
	database, err := db.Create(t.Context(), t.TempDir(), Driver, options)
	if err != nil {
		t.Fatal(err)
	}
	CheckAtEnd(t, database)
	return database
}

// CheckAtEnd checks and closes a database when the test ends.
func CheckAtEnd(t testing.TB, database *db.DB) {
	t.Helper()
	t.Cleanup(func() {
		Check(t, database)
		database.Close()
	})
}

// Check reports everything in the database that contradicts its schema.
// References that lead nowhere are fine: a test may have forced a deletion.
func Check(t testing.TB, database *db.DB) {
	t.Helper()
	for _, problem := range Problems(t, database) {
		if !problem.Code.IsReference() {
			t.Errorf("database %s: %s", database.Path(), problem)
		}
	}
}

// Problems returns all problems of pages and records.
func Problems(t testing.TB, database *db.DB) []db.Problem {
	t.Helper()
	// The context of the test has ended when its clean-up runs.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var problems []db.Problem
	err := database.View(ctx, func(tx *db.ReadTx) error {
		pages, err := tx.CheckPages(ctx)
		if err != nil {
			return err
		}
		records, err := tx.Check(ctx)
		problems = slices.Concat(pages.Problems, records)
		return err
	})
	if err != nil {
		t.Errorf("database %s: check: %v", database.Path(), err)
	}
	return problems
}
