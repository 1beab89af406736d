package fsck_test

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph/fsck"
)

// The parts of a bbolt file that the tests aim at: each of the first two pages
// has a header of 16 bytes, and then a description of which the root page is at
// 16, the freelist at 32 and the number of the transaction at 48.
const (
	metaRoot     = 16 + 16
	metaFreelist = 16 + 32
	metaTx       = 16 + 48
)

// file is the content of a database file.
type file struct {
	path     string
	content  []byte
	pageSize int
}

func readFile(t testing.TB, path string) *file {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	report, err := db.CheckFile(t.Context(), path)
	must(t, err)
	return &file{path: path, content: content, pageSize: report.PageSize}
}

// newest returns the place of the meta page that holds.
func (f *file) newest() int {
	if binary.LittleEndian.Uint64(f.content[metaTx:]) > binary.LittleEndian.Uint64(f.content[f.pageSize+metaTx:]) {
		return 0
	}
	return f.pageSize
}

// page returns the content of the page whose number is in the newest meta page.
func (f *file) page(at int) []byte {
	start := int(binary.LittleEndian.Uint64(f.content[f.newest()+at:])) * f.pageSize
	return f.content[start : start+f.pageSize]
}

func (f *file) write(t testing.TB) {
	t.Helper()
	must(t, os.WriteFile(f.path, f.content, 0o600))
}

func TestDamagedPages(t *testing.T) {
	original := newSample(t, "vfs")
	for _, test := range []struct {
		name      string
		do        func(f *file)
		want      []string // codes
		unchecked bool
		verdict   fsck.Verdict
	}{
		{"newest meta page is damaged", func(f *file) { f.content[f.newest()+metaRoot] ^= 1 }, []string{"DB-META", "STRAY"}, false, fsck.NeedsRepair},
		{"older meta page is damaged", func(f *file) { f.content[f.pageSize-f.newest()+metaRoot] ^= 1 }, []string{"DB-META"}, false, fsck.NeedsRepair},
		{"both meta pages are damaged", func(f *file) { clear(f.content[:2*f.pageSize]) }, []string{"DB-FILE"}, true, fsck.Damaged},
		{"root page is zeroed", func(f *file) { clear(f.page(metaRoot)) }, []string{"DB-PAGE"}, true, fsck.Damaged},
		{"root page is another page", func(f *file) { copy(f.page(metaRoot), f.page(metaFreelist)) }, []string{"DB-PAGE"}, true, fsck.Damaged},
		{"file is cut off", func(f *file) { f.content = f.content[:3*f.pageSize] }, []string{"DB-PAGE"}, true, fsck.Damaged},
		{"file is cut off behind the meta pages", func(f *file) { f.content = f.content[:2*f.pageSize] }, []string{"DB-PAGE"}, true, fsck.Damaged},
		{"file is cut off within a page", func(f *file) { f.content = f.content[:f.pageSize/2] }, []string{"DB-PAGE", "DB-META"}, true, fsck.Damaged},
		{"list of free pages is zeroed", func(f *file) { clear(f.page(metaFreelist)) }, []string{"DB-FREE"}, false, fsck.NeedsRepair},
		{"list of free pages is too long", func(f *file) { f.page(metaFreelist)[10] = 0xFE }, []string{"DB-FREE"}, false, fsck.NeedsRepair},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := copyOf(t, original)
			f := readFile(t, s.database())
			test.do(f)
			f.write(t)
			report := s.check(t)
			var codes []string
			for _, finding := range report.Findings {
				codes = append(codes, string(finding.Code))
				wantExplained(t, &finding)
			}
			if got := slices.Compact(codes); !slices.Equal(got, test.want) {
				t.Errorf("codes %q, want %q", got, test.want)
				wantFindings(t, report)
			}
			if report.Verdict != test.verdict || (len(report.Unchecked) > 0) != test.unchecked {
				t.Errorf("verdict %s, unchecked %q", report.Verdict, report.Unchecked)
			}
		})
	}
}

// TestFlippedBitsAreFoundOrHarmless flips bits all over the pages in use. Each
// is either found, or makes no difference to what is in the store.
func TestFlippedBitsAreFoundOrHarmless(t *testing.T) {
	s := newSample(t, "vfs")
	whole := s.check(t)
	f := readFile(t, s.database())
	used := f.content[:whole.Pages.Pages*f.pageSize]
	flips := 400
	if testing.Short() {
		flips = 50
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range flips {
		at, bit := random.IntN(len(used)), byte(1)<<random.IntN(8)
		used[at] ^= bit
		f.write(t)
		sum := sha256.Sum256(f.content)
		report, err := fsck.Check(t.Context(), fsck.Options{Root: s.root, RunRoot: s.runRoot})
		if err != nil && !strings.Contains(err.Error(), "schema version") {
			t.Errorf("bit %#x of byte %d: %v", bit, at, err)
		}
		now, err := os.ReadFile(f.path)
		must(t, err)
		if sha256.Sum256(now) != sum {
			t.Fatalf("bit %#x of byte %d: the check has written to the file", bit, at)
		}
		if report != nil && report.Verdict == fsck.Clean {
			if diff := cmp.Diff(whole, report); diff != "" {
				t.Errorf("bit %#x of byte %d makes a difference that was not found: %s", bit, at, diff)
			}
		}
		used[at] ^= bit
	}
}

func TestFileOfAnotherProgramIsNoStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "any")
	must(t, os.WriteFile(path, []byte("text"), 0o600))
	report := check(t.Context(), t, fsck.Options{Database: path})
	wantFindings(t, report, "damage DB-FILE any")
}
