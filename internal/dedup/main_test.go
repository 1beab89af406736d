package dedup_test

import (
	"testing"

	"github.com/csdb/csdb/internal/testutil"
)

func TestMain(m *testing.M) {
	testutil.Main(m, testutil.Entries{"few-descriptors": withFewDescriptors})
}
