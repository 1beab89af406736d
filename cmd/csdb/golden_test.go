package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

// varying are the parts of the output that are never the same twice.
var varying = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`), "TIME"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`sha256:[0-9a-f]{64}`), "sha256:DIGEST"},
	{regexp.MustCompile(`csdb\.test\[\d+\]`), "csdb.test[PID]"},
	{regexp.MustCompile(`(?m)^ {30,}`), strings.Repeat(" ", 30)}, // as wide as the PID is long
	{regexp.MustCompile(`"pid":( ?)\d+`), `"pid":${1}PID`},
	{regexp.MustCompile(`"size":\d+,"page-size":\d+,"pages":\d+,"free-pages":\d+`), `"size":SIZE,"page-size":4096,"pages":N,"free-pages":N`},
	{regexp.MustCompile(`"page-size":\d+,"pages":\d+,"free":\d+`), `"page-size":4096,"pages":N,"free":N`},
	{regexp.MustCompile(`\S+, \d+ pages of 4096 bytes, \d+ of them free`), "SIZE, N pages of 4096 bytes, N of them free"},
	{regexp.MustCompile(`\d+ pages of 4096 bytes`), "N pages of 4096 bytes"},
	{regexp.MustCompile(`\bpage \d+`), "page N"},
	{regexp.MustCompile(`rollback-\d{8}T\d{6}Z(\.\d+)?`), "rollback-TIME"},
	{regexp.MustCompile(`restore-\d{8}T\d{6}Z(\.\d+)?`), "restore-TIME"},
	{regexp.MustCompile(`damaged-\d{8}T\d{6}Z(\.\d+)?`), "damaged-TIME"},
	{regexp.MustCompile(`"page":\d+`), `"page":N`},
	{regexp.MustCompile(`\.tmp-[A-Z2-7]+`), ".tmp-RANDOM"},
	{regexp.MustCompile(`csdb-repair-\d{8}T\d{6}\.\d{9}Z`), "csdb-repair-ID"},
	{regexp.MustCompile(`FILE: \S+, (up|the)`), "FILE: SIZE, $1"},
	{regexp.MustCompile(`"file":"FILE","size":\d+`), `"file":"FILE","size":SIZE`},
}

// normalize replaces what varies, and the directories of the store.
func (s *sample) normalize(text string) string {
	text = strings.NewReplacer(s.root, "ROOT", s.runRoot, "RUN", filepath.Join(filepath.Dir(s.root), "backup.db"), "FILE").Replace(text)
	for _, v := range varying {
		text = v.pattern.ReplaceAllString(text, v.with)
	}
	return text
}

// transcript is a series of commands on one store, whose output is in a file.
type transcript struct {
	name    string
	prepare func(t *testing.T, s *sample)
	lines   []string
}

func transcripts() []transcript {
	return []transcript{
		{name: "info", lines: []string{"info", "--json info", "info --json", "info more"}},
		{name: "ls", lines: []string{
			"ls", "ls layers", "ls images", "ls containers", "ls all", "ls --full-ids", "ls -q", "ls --quiet --full-ids containers",
			"ls --json", "--json ls images", "ls volumes", "ls layers images", "ls --color",
			"ls web tool:2 base-layer web", "ls images app:latest tool:2", "ls containers app:latest nobody", "ls layers 1a7e01 --json",
			"ls --format {{.Kind}}={{.ID}} images", "ls --format {{.Nothing}}", "ls --format {{.ID}", "ls --format {{.ID}} --json", "ls --format {{.ID}} -q",
		}},
		{name: "inspect", lines: []string{
			"inspect app:latest", "inspect web", "inspect base-layer", "inspect 1a7e02", "inspect --json tool:2 job",
			"inspect --kind image 7001", "inspect --kind layer tool:2", "inspect --kind volume x", "inspect nobody web nothing", "inspect", "inspect web --json",
			"inspect --format {{.Kind}}={{.ID}} web tool:2 nobody", "inspect --format {{.Layer.Diff.Size}} base-layer", "inspect --format {{frog}} web",
		}},
		{name: "refs", lines: []string{
			"refs app:latest", "refs tool:2", "refs web", "refs base-layer", "refs 1a7e02", "refs 70b1a7", "refs --json base-layer", "--json refs web",
			"refs --kind image base-layer", "refs --kind volume x", "refs nobody", "refs",
		}},
		{name: "tree", lines: []string{"tree", "tree --all", "tree tool:2", "tree web", "tree 1a7e01", "tree --json", "tree nobody"}},
		{name: "du", lines: []string{"du", "du --json", "du --verify", "du --verify --json"}},
		{name: "log", lines: []string{"log", "log -n 2", "log --last 1 --json", "log --since 1h", "log --since 100h -n 1", "log --since yesterday", "log -n -1"}},
		{name: "top", prepare: func(t *testing.T, s *sample) {
			must(t, os.Remove(s.path(db.LockName)))
			must(t, os.Remove(s.path(db.LockName+".queue")))
		}, lines: []string{
			"top", "top --json", "top --help", "top --count -1", "top --interval 1ms", "top all", "top --count 2 --interval 10ms", "ls -q images",
		}},
		{name: "fsck", lines: []string{"fsck", "fsck --depth structure", "fsck --json", "fsck --depth deep", "fsck ROOT/csdb.db", "fsck ROOT", "fsck ROOT/nothing", "--driver overlay fsck", "fsck a b"}},
		{name: "backup", lines: []string{"backup FILE", "backup FILE", "fsck FILE", "--json backup ROOT/nowhere/x", "backup"}},
		{name: "backup-json", lines: []string{"backup --json FILE"}},
		{name: "report", lines: []string{
			"report --html FILE", "report --html FILE", "report --html FILE --force", "--json report --html FILE --force", "report --html ROOT/nowhere/x", "report",
			"report --html ROOT/x --depth deep", "report x",
		}},
		{name: "restore", lines: []string{
			"backup FILE", "restore FILE", "--json restore FILE", "restore ROOT/csdb.db", "restore ROOT", "restore ROOT/nothing", "restore", "log -n 2",
		}},
		{name: "gc", prepare: func(t *testing.T, s *sample) {
			must(t, os.MkdirAll(s.path("vfs/dir/left/dir"), 0o700))
			must(t, os.WriteFile(s.path("vfs/dir/left/file"), make([]byte, 1000), 0o600))
			store := s.open(t)
			must(t, store.DeleteContainer(t.Context(), jobCtr))
			_, err := store.CreateLayer(t.Context(), graph.LayerSpec{ID: "orphan", Parent: sideLayer})
			must(t, err)
			_, err = store.AddLease(t.Context(), graph.LeaseSpec{ID: "old", Objects: []model.ID{toolImage}, For: time.Hour})
			must(t, err)
			must(t, store.Close())
		}, lines: []string{
			"gc --dry-run", "gc --json", "gc", "gc --unused-for 100h", "gc --keep-last 0", "gc --unused-for 1h --keep tool:2 --dry-run", "gc --keep-last 2 --unused-for 1h -n",
			"gc --unused-for 1h --dry-run --json", "gc --unused-for 1h", "ls -q", "fsck",
			"gc --keep x", "gc --unused-for -1h", "gc --keep-last -1", "gc --unused-for 1h --keep [", "gc all", "--driver overlay gc",
		}},
		{name: "lease", prepare: func(t *testing.T, s *sample) {
			store := s.open(t)
			must(t, store.DeleteContainer(t.Context(), jobCtr))
			_, err := store.CreateLayer(t.Context(), graph.LayerSpec{ID: "orphan"})
			must(t, err)
			_, err = store.AddLease(t.Context(), graph.LeaseSpec{ID: "old", Objects: []model.ID{toolImage}, For: time.Hour})
			must(t, err)
			must(t, store.Close())
		}, lines: []string{
			"lease", "lease --help", "lease add --help", "lease nothing", "lease list", "lease ls --json", "info", "refs tool:2", "lease add", "lease add nobody", "lease remove nobody",
			"lease add --id app --reason nightly app:latest", "lease add --json --id tool --for 2h tool:2 base-layer", "lease add --id mid --for 3h 1a7e02 orphan", "lease add --id job --kind container web", "lease add --id own --for 72h 3eb01a",
			"lease add --id app tool:2", "lease add --id ../x tool:2", "lease add --for 0 tool:2", "lease add --for -1h tool:2", "lease add --for 10000h tool:2", "lease add --kind volume tool:2", "lease add --id x tool:2 nobody",
			"lease list", "lease list --json", "lease list x", "info", "--json info",
			"refs tool:2", "refs --json tool:2", "refs app:latest", "refs web", "refs orphan", "refs 1a7e03", "inspect --format {{range.Leases}}{{.ID}}:{{.Reason}};{{end}} app:latest tool:2 base-layer job", "inspect orphan",
			"gc --dry-run --unused-for 0", "gc --dry-run --unused-for 0 --json", "gc --unused-for 0", "fsck",
			"lease remove own nobody app", "lease rm --json mid", "lease remove tool", "refs tool:2", "gc --unused-for 0", "lease list", "lease remove job", "--driver overlay lease add web", "--driver overlay lease list",
		}},
		{name: "lease-damaged", prepare: func(t *testing.T, s *sample) {
			store := s.open(t)
			for _, id := range []string{"bad", "good"} {
				_, err := store.AddLease(t.Context(), graph.LeaseSpec{ID: id, Objects: []model.ID{toolImage}})
				must(t, err)
			}
			must(t, store.Close())
			dbtest.PutRun(t, filepath.Join(s.runRoot, db.RunFileName), store.Info().UUID, "leases", "bad", []byte("garbage"))
		}, lines: []string{"lease list", "lease list --json", "info", "refs tool:2", "gc", "gc --unused-for 0", "fsck", "lease remove bad", "lease list"}},
		{name: "compact", lines: []string{"compact", "compact --if-free 90", "--json compact", "compact --if-free 101", "compact now", "--driver overlay compact", "fsck", "log -n 1"}},
		{name: "db", lines: []string{
			"db", "db --help", "db get --help", "db nothing", "db get", "db get store", "db --nonsense", "db get --nonsense x y",
			"db get store schema", "db get names/image tool:2", "db --json get names/layer base-layer", "db get journal 1", "db get uses ba5e01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
			"db get data/container 70bc77ffffffffffffffffffffffffffffffffffffffffffffffffffffffffff|settings", "db get store nothing", "db get --file ROOT/nothing store info",
			"db rollback --dry-run", "db rollback", "db rollback --yes --dry-run --json", "db rollback --yes", "db load ROOT/nothing FILE", "db load ROOT/csdb.id FILE", "db load ROOT/csdb.id ROOT/csdb.db",
		}},
		{name: "completion", lines: []string{"completion", "completion tcsh"}},
		{name: "usage", lines: []string{"", "--help", "ls --help", "inspect --help", "du --help", "fsck --help", "report --help", "nonsense", "--nonsense", "--timeout soon ls"}},
		{name: "empty", prepare: func(t *testing.T, s *sample) {
			store := s.open(t)
			must(t, store.Wipe(t.Context()))
			must(t, store.Close())
		}, lines: []string{"ls", "ls --json", "tree", "tree --json", "du", "du --json", "fsck"}},
		{
			name: "no-store", prepare: func(t *testing.T, s *sample) { must(t, os.RemoveAll(s.root)) },
			lines: []string{"info", "ls", "inspect x", "tree", "du", "log", "top", "fsck", "report --html FILE", "backup FILE", "compact", "gc", "db stats", "db rollback"},
		},
		{name: "another-driver", lines: []string{"--driver overlay info", "--driver floppy info", "--driver vfs ls -q"}},
		{name: "damaged", prepare: damage, lines: []string{
			"info", "ls", "ls --json", "inspect app:latest", "inspect 1a7e02", "inspect web", "refs app:latest", "refs 1a7e03", "tree", "du", "du --verify", "log -n 1", "fsck", "--json fsck", "fsck --depth structure",
		}},
		{name: "forced", prepare: func(t *testing.T, s *sample) {
			store := s.open(t)
			must(t, store.Delete(t.Context(), baseLayer))
			must(t, store.Delete(t.Context(), toolImage))
			must(t, store.Close())
		}, lines: []string{"ls", "tree", "inspect app:latest", "refs app:latest", "refs job", "du", "fsck"}},
		{name: "broken", prepare: func(t *testing.T, s *sample) {
			must(t, os.Truncate(s.path(db.FileName), 8192))
		}, lines: []string{"info", "ls", "log", "backup FILE", "fsck", "compact"}},
		{name: "rescue", prepare: func(t *testing.T, s *sample) {
			zeroPage(t, s, rootPage(t, s))
		}, lines: []string{
			"fsck --depth structure", "rescue --dry-run", "rescue", "rescue", "rescue --output ROOT/new.db", "rescue --output ROOT/new.db",
			"rescue --output FILE", "rescue --install", "rescue --dry-run --install", "rescue --yes", "rescue x",
			"rescue --install --yes", "ls", "rescue", "rescue --force --dry-run", "log -n 1",
		}},
		{name: "rescue-short", prepare: func(t *testing.T, s *sample) {
			must(t, os.Truncate(s.path(db.FileName), 8192))
		}, lines: []string{
			"rescue --dry-run", "rescue --json --dry-run", "--driver overlay rescue", "rescue --install --yes", "fsck --depth structure",
			"rescue --from-files --install --yes", "rescue --from-files --install --yes --force", "ls",
		}},
		{name: "rescue-no-meta", prepare: func(t *testing.T, s *sample) {
			zeroPage(t, s, 0)
			zeroPage(t, s, 1)
		}, lines: []string{"ls", "rescue --install --yes --json", "ls"}},
		{name: "rescue-backup", prepare: func(t *testing.T, s *sample) {
			r := s.csdb(t, "backup", filepath.Join(filepath.Dir(s.root), "backup.db"))
			if r.status != 0 {
				t.Fatal(r.stderr)
			}
			must(t, os.Truncate(s.path(db.FileName), 5*pageSize))
		}, lines: []string{"rescue --backup ROOT/nothing", "rescue --backup FILE --install --yes", "ls"}},
		{name: "rescue-missing", prepare: func(t *testing.T, s *sample) {
			must(t, os.Remove(s.path(db.FileName)))
		}, lines: []string{"ls", "rescue --install --yes", "ls"}},
		{name: "repair", prepare: func(t *testing.T, s *sample) {
			must(t, os.MkdirAll(s.path("vfs/dir/left"), 0o700))
			must(t, os.Chmod(s.path("vfs-containers/"+string(webCtr)+"/settings"), 0o644))
			dbtest.FlipBit(t, s.path(db.FileName), "names/image", "app:latest")
		}, lines: []string{
			"repair --dry-run", "repair", "repair --json", "repair --dry-run --json", "repair --plan ROOT/nothing", "repair --plan ROOT/csdb.id", "repair --list", "repair --undo",
			"repair --yes", "fsck", "repair --list", "repair --list --json", "repair --undo", "fsck --depth structure", "repair --undo", "repair --yes --json",
			"repair --undo --id nothing", "repair --undo --json", "repair --undo --plan x", "repair --list --dry-run", "repair --id x", "repair --plan x --depth contents", "repair x",
		}},
		{name: "repair-damaged", prepare: damage, lines: []string{"repair --dry-run", "repair --yes", "repair --yes", "repair --undo"}},
		{name: "debris", prepare: func(t *testing.T, s *sample) {
			must(t, os.MkdirAll(s.path("vfs/dir/left"), 0o700))
		}, lines: []string{"fsck", "fsck --json"}},
	}
}

// damage breaks a little of everything.
func damage(t *testing.T, s *sample) {
	dbtest.FlipBit(t, s.path(db.FileName), "layers", string(midLayers()[1]))
	must(t, os.Remove(s.path("vfs-images/"+string(toolImage)+"/manifest")))
	must(t, os.RemoveAll(s.path("vfs/dir/"+string(baseLayer))))
	must(t, os.Chmod(s.path("vfs-containers/"+string(webCtr)+"/settings"), 0o644))
}

func TestOutputOfCommands(t *testing.T) {
	for _, script := range transcripts() {
		t.Run(script.name, func(t *testing.T) {
			s := newSample(t)
			if script.prepare != nil {
				script.prepare(t, s)
			}
			var got strings.Builder
			for _, line := range script.lines {
				args := strings.Fields(strings.NewReplacer("ROOT", s.root, "FILE", filepath.Join(filepath.Dir(s.root), "backup.db")).Replace(line))
				r := s.csdb(t, args...)
				fmt.Fprintf(&got, "$ csdb %s\n%s", line, r.stdout)
				if r.stderr != "" {
					fmt.Fprintf(&got, "stderr: %s", r.stderr)
				}
				if r.status != 0 {
					fmt.Fprintf(&got, "status: %d\n", r.status)
				}
			}
			golden := filepath.Join("testdata", script.name+".golden")
			if *update {
				must(t, os.WriteFile(golden, []byte(s.normalize(got.String())), 0o644))
			}
			want, err := os.ReadFile(golden)
			must(t, err)
			if diff := cmp.Diff(string(want), s.normalize(got.String())); diff != "" {
				t.Error(diff)
			}
		})
	}
}
