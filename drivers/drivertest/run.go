package drivertest

import (
	"flag"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/internal/testutil"
)

// Traits say what a driver lacks, and where it is special. The zero value is a
// driver that can do everything.
type Traits struct {
	// Dir returns an empty directory for a test to work in. nil stands for
	// t.TempDir.
	Dir func(t testing.TB) string
	// MaxDepth is the number of ancestors beyond which a layer cannot be
	// mounted; 0 means that the suite finds no limit.
	MaxDepth int
	// NoMounts: Mount only tells where a layer's files are. There is nothing
	// that the kernel could be asked about, and nothing to unmount.
	NoMounts bool
	// WritableViews: what is mounted read-only can be written to.
	WritableViews bool
	// OneReader: a layer can be compared by one caller at a time, because it
	// has to be mounted for that.
	OneReader bool
	// LinksBreak: a change of a file under one of its names does not show
	// under its other names if the file comes from a layer below.
	LinksBreak bool
	// MaxName is the length in bytes of the longest name that a file can have,
	// if the driver takes something of what the file system allows.
	MaxName int
	// NoColons: the path of the home must not contain a colon.
	NoColons bool
	// Defects are tests that a program beyond our reach does not pass, by the
	// names of their methods without "Test", and what is wrong with it.
	Defects map[string]string
	// Status has the names of the pairs that Status returns.
	Status []string
	// GoodOptions are options that the driver accepts, and BadOptions those
	// that it refuses, with what the error matches.
	GoodOptions [][]string
	BadOptions  map[string]error
	// Damages are what may happen to the driver's home, and what must come of
	// it.
	Damages []Damage
}

// Damage is something that happens to a home while no driver has it open. In
// the home there are three layers, "base", "middle" and "top", each on top of
// the one before.
type Damage struct {
	Name string
	// Do does the damage.
	Do func(t testing.TB, home string)
	// Want is what the error of mounting "top" matches; nil means that the
	// layer is shown as if nothing had happened.
	Want error
}

// Main is testutil.Main for packages that call Run many times: the random tests
// do fewer rounds, unless the flag -rapid.checks asks for a number.
func Main(m *testing.M, entries testutil.Entries) {
	rounds := testutil.Rounds(30)
	if err := flag.Set("rapid.checks", strconv.Itoa(rounds)); err != nil {
		panic(err) // the flag belongs to package rapid, which is linked in
	}
	testutil.Main(m, entries)
}

// suite has the tests of a driver as methods.
type suite struct {
	construct drivers.Constructor
	traits    Traits
}

// Run tests whether the driver that construct opens keeps the contract of
// drivers.Driver, and of the optional interfaces that it implements.
func Run(t *testing.T, construct drivers.Constructor, traits Traits) {
	t.Helper()
	if traits.Dir == nil {
		traits.Dir = func(t testing.TB) string {
			t.Helper()
			return t.TempDir()
		}
	}
	s := suite{construct: construct, traits: traits}
	tests := reflect.ValueOf(s)
	for i := range tests.NumMethod() {
		name, isTest := strings.CutPrefix(tests.Type().Method(i).Name, "Test")
		if !isTest {
			continue
		}
		test, ok := reflect.TypeAssert[func(*testing.T)](tests.Method(i))
		if !ok {
			t.Fatalf("method Test%s is not a test", name)
		}
		t.Run(name, func(t *testing.T) {
			if defect := traits.Defects[name]; defect != "" {
				t.Skip(defect)
			}
			test(t)
		})
	}
}
