package fsck_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

// newVolatileSample makes a sample with a volatile container "lost" that has a
// layer, a data item and a directory, and one "gone" in another run root and the
// transient mode.
func newVolatileSample(t *testing.T, driver string) *sample {
	t.Helper()
	s := newSample(t, driver)
	create := func(options graph.Options, id model.ContainerID) {
		options.Root, options.Driver, options.NoSync = s.root, driver, true
		store, err := graph.Open(t.Context(), options)
		must(t, err)
		s.store = store
		_, err = store.CreateContainer(t.Context(), graph.ContainerSpec{ID: id, Image: "app", Layer: model.LayerID(id + "-rw"), Names: []string{string(id) + "-name"}, Volatile: true})
		must(t, err)
		must(t, store.SetData(t.Context(), id, "settings", strings.NewReader("settings of "+string(id))))
		s.mount(t, string(id), func(path string) { must(t, os.WriteFile(filepath.Join(path, "written"), nil, 0o644)) })
		s.closeStore(t)
	}
	create(graph.Options{RunRoot: s.runRoot}, "lost")
	create(graph.Options{RunRoot: s.runRoot + "-2", TransientStore: true}, "gone")
	return s
}

// volatile returns the databases of volatile containers.
func (s *sample) volatile(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(s.runRoot + "*/csdb-*/*/*/" + db.FileName)
	must(t, err)
	return found
}

func TestVolatileContainersAreChecked(t *testing.T) {
	for _, driver := range drivers() {
		t.Run(driver, func(t *testing.T) {
			s := newVolatileSample(t, driver)
			report := s.check(t)
			wantFindings(t, report)
			want, got := s.volatile(t), slices.Sorted(slices.Values(report.Volatile))
			slices.Sort(want)
			if report.Checked.Containers != 4 || report.Checked.Layers != 8 || !slices.Equal(got, want) || len(got) != 2 {
				t.Errorf("checked %+v in %q, want %q", report.Checked, got, want)
			}
			report = check(t.Context(), t, fsck.Options{Root: s.root, RunRoot: s.runRoot, Depth: fsck.Contents, Only: []string{"gone-name"}})
			wantFindings(t, report)
			if report.Checked.Contents != 10 { // its item, those of its image, and three layers with tar-split and files
				t.Errorf("read %d contents", report.Checked.Contents)
			}
			// Without the run root that the store itself names nothing changes.
			wantFindings(t, check(t.Context(), t, fsck.Options{Root: s.root}))

			for name, d := range map[string]damage{
				"missing file":  {do: remove("%-containers/lost/settings"), want: []string{"damage DATA-MISSING %-containers/lost/settings"}},
				"missing layer": {do: removeLayer("gone-rw"), want: []string{"damage LAYER-DIR-MISSING gone-rw"}},
				"stray beside":  {do: func(t *testing.T, s *sample) { makeDir(s.dir("lost-rw2"))(t, s) }, want: []string{"repairable STRAY lost-rw2"}},
			} {
				t.Run(name, func(t *testing.T) {
					d.test(t, newVolatileSample(t, driver))
				})
			}
		})
	}
}

func TestDamageOfVolatileContainersNamesTheFile(t *testing.T) {
	s := newVolatileSample(t, "vfs")
	for _, test := range []struct {
		name, bucket, key string
		do                func(t testing.TB, path, bucket, key string)
		want              []string
	}{
		{"record", "containers", "lost", dbtest.FlipBit, []string{"damage DB-RECORD %: containers/lost"}},
		{"index entry", "names/container", "lost-name", dbtest.Delete, []string{"repairable DB-INDEX %: names/container/lost-name"}},
		{"layer", "layers", "lost-rw", dbtest.Delete, []string{
			"damage REF-LAYER %: containers/lost", "repairable DB-COUNT %: store/usage", "repairable DB-COUNT %: uses/lost-rw",
			`repairable DB-INDEX %: index/children/"top\x00lost-rw"`, "repairable STRAY vfs/dir/lost-rw",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := s.volatile(t)[0]
			content, err := os.ReadFile(path)
			must(t, err)
			defer func() { must(t, os.WriteFile(path, content, 0o600)) }()
			test.do(t, path, test.bucket, test.key)
			var want []string
			for _, line := range test.want {
				want = append(want, strings.ReplaceAll(line, "%", path))
			}
			report := s.check(t)
			wantFindings(t, report, want...)
			for _, f := range report.Findings {
				wantExplained(t, &f)
				if f.Realm == fsck.InVolatile && (f.Derived || !strings.Contains(strings.Join(f.Remedies, "; "), filepath.Dir(path)+" ")) {
					t.Errorf("something else can be done: %+v", f)
				}
			}
		})
	}
}

func TestReferencesOfVolatileContainersLeadIntoTheStore(t *testing.T) {
	s := newVolatileSample(t, "vfs")
	forced(model.ImageID("app"))(t, s)
	volatile := s.volatile(t)
	wantFindings(t, s.check(t), "damage REF-IMAGE "+volatile[1]+": containers/gone", "damage REF-IMAGE "+volatile[0]+": containers/lost", "damage REF-IMAGE containers/web")
}

func TestVolatileContainersOfAnotherBootCountForNothing(t *testing.T) {
	s := newVolatileSample(t, "vfs")
	for _, path := range s.volatile(t) {
		dir := filepath.Dir(path)
		must(t, os.Rename(dir, filepath.Join(filepath.Dir(dir), "8c5b1a0e-0000-4000-8000-000000000000")))
	}
	wantFindings(t, s.check(t),
		"repairable STRAY vfs-containers/gone/settings", "repairable STRAY vfs-containers/lost/settings",
		"repairable STRAY vfs/dir/gone-rw", "repairable STRAY vfs/dir/lost-rw")
}

func TestNothingIsStrayWhereVolatileContainersCannotBeRead(t *testing.T) {
	s := newVolatileSample(t, "vfs")
	path := s.volatile(t)[0]
	must(t, os.WriteFile(path, []byte(strings.Repeat("no database ", 10_000)), 0o600))
	replace("vfs-layers/stray", "content", 0o600)(t, s)
	replace("vfs-images/stray", "content", 0o600)(t, s)
	report := s.check(t)
	wantFindings(t, report, "damage DB-FILE "+path, "repairable STRAY vfs-images/stray", "info VOLATILE runs")
	for _, f := range report.Findings {
		wantExplained(t, &f)
	}
}

func TestInterruptedTransactionsAreNotJudged(t *testing.T) {
	s := newVolatileSample(t, "vfs")
	replace("vfs-images/stray", "content", 0o600)(t, s)
	forced(model.ImageID("tool"))(t, s)
	text, err := cbor.Marshal(&db.Prepared{Tx: "tx", Coordinator: "coordinator", Root: "/root", PID: 7, Command: "builder", Since: time.Unix(1, 0)})
	must(t, err)
	path := s.volatile(t)[0]
	dbtest.Put(t, path, "prepared", "tx", []byte{1, 0, 0, 0, 0})
	dbtest.Rewrite(t, path, "prepared", "tx", func([]byte) []byte { return text })
	report := s.check(t)
	wantFindings(t, report, "info UNDECIDED prepared/tx")
	for _, f := range report.Findings {
		wantExplained(t, &f)
	}
}
