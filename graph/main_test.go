package graph_test

import (
	"testing"

	"github.com/csdb/csdb/internal/testutil"
)

func TestMain(m *testing.M) {
	testutil.Main(m, testutil.Entries{
		"agent":        agent,
		"commit-fails": commitFails,
		"importer":     importer,
	})
}
