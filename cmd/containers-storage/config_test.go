package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/csdb/csdb/internal/testutil"
)

func TestUnknownKeysAreWarnedAboutThoughNothingElseIs(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	file := filepath.Join(s.files, "unknown.conf")
	writeFile(t, file, "[storage]\ndrivr = 'vfs'\ndriver = 'overlay2'\n")
	environment := map[string]string{"CONTAINERS_STORAGE_CONF": file}
	r := s.runIn(t.Context(), environment, "", "layers")
	for _, want := range []string{"level=warning", file + ":2: unknown key storage.drivr", file + ":3: overlay2 is an old name"} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("%q is not in %q", want, r.stderr)
		}
	}
	if lines := strings.Count(r.stderr, "\n"); lines != 2 || r.status != exitOK || r.stdout != "" {
		t.Errorf("%d lines: %+v", lines, r)
	}
}

func TestStoreOfAnotherUserThanRootIsHis(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	home := filepath.Join(s.files, "home")
	environment := map[string]string{
		"_CONTAINERS_ROOTLESS_UID": "1000", "HOME": home, "XDG_RUNTIME_DIR": filepath.Join(home, "run"), "STORAGE_DRIVER": "vfs",
	}
	r := runHere(t.Context(), environment, "", []string{"containers-storage", "status", "--json"})
	want := `[["Root","` + home + `/.local/share/containers/storage"],["Run Root","` + home + `/run/containers"],["Driver Name","vfs"],["Driver Options","[]"]]` + "\n"
	if r.stdout != want || r.status != exitOK || r.stderr != "" {
		t.Errorf("%+v, want %s", r, want)
	}
}

func TestRunRootIsNotPutWhereOthersMayHaveBeenFirst(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	missing := filepath.Join(s.files, "missing")
	environment := map[string]string{"_CONTAINERS_ROOTLESS_UID": "424242", "HOME": s.files, "TMPDIR": missing, "STORAGE_DRIVER": "vfs"}
	r := runHere(t.Context(), environment, "", []string{"containers-storage", "layers"})
	if r.status != exitFailed || !strings.Contains(r.stdout, missing) {
		t.Errorf("%+v", r)
	}
	if err := os.Mkdir(missing, 0o700); err != nil {
		t.Fatal(err)
	}
	if r := runHere(t.Context(), environment, "", []string{"containers-storage", "layers"}); r.status != exitOK {
		t.Errorf("%+v", r)
	}
}

func TestDriversAreTriedInTheOrderOfTheConfiguration(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	file := filepath.Join(s.files, "priority.conf")
	writeFile(t, file, "storage.driver_priority = ['vfs', 'overlay']\n")
	environment := map[string]string{"CONTAINERS_STORAGE_CONF": file}
	r := s.runIn(t.Context(), environment, "", "--graph", s.root, "--run", s.runRoot, "status")
	if r.status != exitOK || !strings.Contains(r.stderr, "Driver Name: vfs\n") {
		t.Errorf("%+v", r)
	}
}

func TestStoreOfSomebodyWithoutHomeHasToBeNamed(t *testing.T) {
	t.Parallel()
	s := newLocalStore(t)
	environment := map[string]string{"_CONTAINERS_ROOTLESS_UID": "1000", "XDG_RUNTIME_DIR": s.files}
	r := runHere(t.Context(), environment, "", []string{"containers-storage", "layers"})
	if r.status != exitFailed || !strings.Contains(r.stdout, "error initializing: storage.graphroot: neither $XDG_DATA_HOME nor $HOME") {
		t.Errorf("%+v", r)
	}
	if r := s.runIn(t.Context(), environment, "", "layers"); r.status != exitOK {
		t.Errorf("%+v", r)
	}
}

func TestVolatileContainersAreMountedLikeOthersIfTheConfigurationSaysSo(t *testing.T) {
	t.Parallel()
	testutil.NeedRoot(t)
	dir := testutil.SharedLoop(t, "ext4")
	file := filepath.Join(dir, "storage.conf")
	for value, want := range map[string]bool{"true": false, "false": true} {
		writeFile(t, file, "storage.driver = 'overlay'\nstorage.options.disable-volatile = "+value+"\n")
		run := func(words ...string) string {
			t.Helper()
			args := append([]string{"containers-storage", "-g", filepath.Join(dir, value), "-R", filepath.Join(dir, value+"-run")}, words...)
			r := runHere(t.Context(), map[string]string{"CONTAINERS_STORAGE_CONF": file}, "", args)
			if r.status != exitOK || r.stderr != "" {
				t.Fatalf("%q: %+v", words, r)
			}
			return strings.TrimSpace(r.stdout)
		}
		run("create-container", "--volatile", "--id", "c", "")
		point := run("mount", "c")
		table, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		volatile := false
		for line := range strings.Lines(string(table)) {
			if strings.Contains(line, " "+point+" ") {
				volatile = strings.Contains(line, ",volatile") || strings.Contains(line, "=volatile") // as newer kernels write it
			}
		}
		run("unmount", "c")
		if volatile != want {
			t.Errorf("disable-volatile = %s: the mount is volatile: %t", value, volatile)
		}
	}
}
