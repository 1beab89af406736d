package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/db/dbtest"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

func TestObjectsAreCompleted(t *testing.T) {
	s := newSample(t)
	store := s.open(t)
	_, err := store.AddNames(t.Context(), jobCtr, "two words", "$(touch x)", "-flag", "two\nlines", "a:b")
	must(t, err)
	_, err = store.AddLease(t.Context(), graph.LeaseSpec{ID: "nightly", Objects: []model.ID{jobCtr}})
	must(t, err)
	must(t, store.Close())
	images := `docker.io/library/app\:1 app\:latest a44001ffffff tool\:2 7001a1ffffff`
	containers := `web 3eb0c7ffffff a\:b job 70bc77ffffff`
	layers := "base-layer ba5e01ffffff 1a7e01ffffff 1a7e02ffffff 1a7e03ffffff 51de01ffffff 3eb01affffff 70b1a7ffffff"
	all := strings.Join([]string{layers, images, containers}, " ")
	for _, test := range []struct{ line, want string }{
		{"inspect", all},
		{"inspect web", all},
		{"inspect --kind image", images},
		{"ls", "layers images containers all " + all},
		{"ls containers", containers},
		{"ls web", all},
		{"refs", all},
		{"refs web", ""},
		{"lease add", all},
		{"lease add web --kind image", all},
		{"lease remove", "nightly"},
		{"lease rm nightly", "nightly"},
		{"tree", all},
		{"tree web", ""},
		{"fsck --only", all},
		{"fsck --depth", "structure references contents"},
		{"repair --depth", "structure references contents"},
		{"report --depth", "structure references contents"},
		{"inspect --kind", "layer image container"},
		{"refs --kind", "layer image container"},
		{"gc --keep", images},
		{"gc --keep tool:2 --keep", images},
		{"fsck --read-data-subset", ""},
		{"fsck --keep", ""},
		{"fsck", ""},
		{"db get --file", ""},
	} {
		r := s.completed(t, strings.Fields(test.want), append(strings.Fields(test.line), "--generate-bash-completion")...)
		if diff := cmp.Diff(strings.Fields(test.want), strings.Fields(r.stdout)); diff != "" || r.status != 0 || r.stderr != "" {
			t.Errorf("%s: %+v %s", test.line, r, diff)
		}
	}
	dbtest.FlipBit(t, s.path(db.FileName), "images", string(appImage))
	const want = "tool\\:2\n7001a1ffffff\n"
	r := s.completed(t, strings.Fields(want), "inspect", "--kind", "image", "--generate-bash-completion")
	if r.stdout != want || r.stderr != "" || r.status != 0 {
		t.Errorf("damaged record: %+v", r)
	}
}

// completed runs a command that completes. On a machine that is busy the store
// may not be open in the time that there is for that, and then words are missing:
// it is run again.
func (s *sample) completed(t *testing.T, want []string, words ...string) (r result) {
	t.Helper()
	testutil.Eventually(t, fmt.Sprintf("%q gives %d words", words, len(want)), func() bool {
		r = s.csdb(t, words...)
		return len(strings.Fields(r.stdout)) >= len(want)
	})
	return r
}

func TestCompletionIsQuietWithoutAStore(t *testing.T) {
	s := newSample(t)
	must(t, os.Truncate(s.path(db.FileName), 100))
	for _, root := range []string{"/nowhere", t.TempDir(), s.root} {
		for command, want := range map[string]string{"inspect": "", "refs": "", "tree": "", "ls": "layers\nimages\ncontainers\nall\n"} {
			r := csdb(t, "--root", root, command, "--generate-bash-completion")
			if r.stdout != want || r.stderr != "" || r.status != 0 {
				t.Errorf("%s in %s: %+v", command, root, r)
			}
		}
	}
}

func TestCompletionDoesNotWaitForALockedStore(t *testing.T) {
	s := newSample(t)
	store := s.open(t)
	defer store.Close()
	must(t, store.Update(t.Context(), func(*graph.Tx) error {
		r := s.csdb(t, "--timeout", "0", "inspect", "--generate-bash-completion")
		if r != (result{}) {
			t.Errorf("got %+v", r)
		}
		return nil
	}))
}
