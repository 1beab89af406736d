package fsck_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/drivers/builtin"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

// idsOf lists the IDs of objects.
func idsOf(objects []fsck.Object) []string {
	ids := []string{}
	for _, o := range objects {
		ids = append(ids, o.ID)
	}
	return ids
}

func TestFindingsNameEverythingThatSuffers(t *testing.T) {
	overlay, vfs := newSample(t, "overlay"), newSample(t, "vfs")
	for _, test := range []struct {
		name               string
		original           *sample
		do                 func(*testing.T, *sample)
		images, containers []string
	}{
		{"base layer of everything", overlay, removeLayer("base"), []string{"app", "tool"}, []string{"idle", "web"}},
		{"layer of one image", overlay, removeLayer("middle"), []string{"app"}, []string{"web"}},
		{"layer that was copied by those on it", vfs, removeLayer("middle"), []string{}, []string{}},
		{"top layer of an image", vfs, removeLayer("top"), []string{"app"}, []string{}},
		{"layer of a container", vfs, removeLayer("web-rw"), []string{}, []string{"web"}},
		{"item of an image", vfs, remove(manifest), []string{"app"}, []string{"web"}},
		{"item of a container", vfs, remove("%-containers/idle/settings"), []string{}, []string{"idle"}},
		{"tar-split", vfs, remove(split), []string{"app"}, []string{"web"}},
		{"damaged record", vfs, inDatabase(func(t testing.TB, path string) { dbtest.FlipBit(t, path, "layers", "base") }), []string{"app", "tool"}, []string{"idle", "web"}},
		{"mode of a file", vfs, chmod(manifest, 0o644), []string{}, []string{}},
		{"index entry", vfs, inDatabase(func(t testing.TB, path string) { dbtest.Delete(t, path, "names/image", "tool:2") }), []string{}, []string{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := copyOf(t, test.original)
			test.do(t, s)
			report := s.check(t)
			if len(report.Findings) != 1 {
				t.Fatalf("%d findings", len(report.Findings))
			}
			finding := report.Findings[0]
			if got := idsOf(finding.Images); !slices.Equal(got, test.images) {
				t.Errorf("images %q, want %q", got, test.images)
			}
			if got := idsOf(finding.Containers); !slices.Equal(got, test.containers) {
				t.Errorf("containers %q, want %q", got, test.containers)
			}
			for _, o := range slices.Concat(finding.Images, finding.Containers) {
				if len(o.Names) == 0 {
					t.Errorf("%s %s has no names", o.Kind, o.ID)
				}
			}
		})
	}
}

func TestNamesOfADamagedImageAreKnown(t *testing.T) {
	s := newSample(t, "vfs")
	dbtest.FlipBit(t, s.database(), "images", "app")
	got := s.check(t).Findings[0].Object
	want := &fsck.Object{Kind: model.KindImage, ID: "app", Names: []string{"app:latest", "docker.io/library/app:1"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReportsOfOneStoreAreEqual(t *testing.T) {
	s := newSample(t, "vfs")
	for _, do := range []func(*testing.T, *sample){
		removeLayer("side"), remove(manifest), remove(config), remove(split), replace("%-images/stray", "", 0o600),
		inDatabase(func(t testing.TB, path string) { dbtest.FlipBit(t, path, "layers", "middle") }),
	} {
		do(t, s)
	}
	first := s.check(t)
	if len(first.Findings) != 5 {
		t.Errorf("%d findings", len(first.Findings))
	}
	functions := cmpopts.IgnoreFields(fsck.LostLayer{}, "Driver") // which cannot be compared
	if diff := cmp.Diff(first, s.check(t), functions); diff != "" {
		t.Error(diff)
	}
}

func TestReportInJSON(t *testing.T) {
	s := newSample(t, "vfs")
	remove(manifest)(t, s)
	report := s.check(t)
	report.Root, report.Database, report.UUID, report.Created = "ROOT", "ROOT/csdb.db", "UUID", time.Time{}
	report.Pages = fsck.Pages{TxID: 1, PageSize: 4096, Pages: 2, Free: 3}
	got, err := json.MarshalIndent(report, "", "  ")
	must(t, err)
	if *update {
		must(t, os.WriteFile("testdata/report.json", append(got, '\n'), 0o644))
	}
	want, err := os.ReadFile("testdata/report.json")
	must(t, err)
	if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
		t.Errorf("the format has changed; its version is part of what others rely on: %s", diff)
	}
}

// documented lists the codes that docs/fsck.md describes, each in a heading of
// its own.
func documented(t *testing.T) (codes []string, text string) {
	t.Helper()
	content, err := os.ReadFile("../../docs/fsck.md")
	must(t, err)
	for _, heading := range regexp.MustCompile("(?m)^### `([A-Z-]+)`").FindAllStringSubmatch(string(content), -1) {
		codes = append(codes, heading[1])
	}
	slices.Sort(codes)
	return codes, string(content)
}

func TestEveryCodeIsDocumented(t *testing.T) {
	var codes []string
	got, text := documented(t)
	for _, kind := range fsck.Kinds(builtin.Registry()) {
		codes = append(codes, string(kind.Code))
		if heading := fmt.Sprintf("### %#q (%s", kind.Code, kind.Severity); !strings.Contains(text, heading) {
			t.Errorf("docs/fsck.md has no heading that begins with %q", heading)
		}
		if kind.Effect == "" || len(kind.Remedies) == 0 {
			t.Errorf("%s: no effect or no remedy", kind.Code)
		}
	}
	if diff := cmp.Diff(codes, got); diff != "" {
		t.Errorf("codes of the program (-) and of docs/fsck.md (+): %s", diff)
	}
}

func TestEveryDriverCanBeInspected(t *testing.T) {
	for _, driver := range builtin.Registry() {
		if driver.Inspect == nil || driver.FaultKinds == nil {
			t.Errorf("driver %s cannot be inspected", driver.Name)
		}
	}
}

func TestEveryCodeHasACase(t *testing.T) {
	// Those that have tests of their own.
	seen := map[string]bool{"DB-META": true, "DB-PAGE": true, "DB-FREE": true, "TRASH": true, "MOUNT-STALE": true, "UNREADABLE": true, "LEASE-STALE": true, "LEASE-RECORD": true, "VOLATILE": true, "UNDECIDED": true, "REF-UNHELD": true, "STORE-AWAY": true}
	for _, group := range [][]damage{contentDamage(), layerDamage(), debris(), databaseDamage(), overlayDamage(), deepDamage()} {
		for _, d := range group {
			for _, line := range d.want {
				seen[strings.Fields(line)[1]] = true
			}
		}
	}
	for _, kind := range fsck.Kinds(builtin.Registry()) {
		if !seen[string(kind.Code)] {
			t.Errorf("no test finds %s", kind.Code)
		}
	}
}
