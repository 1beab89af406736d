package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// writeConfig writes a configuration for a test and returns its path.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "storage.conf")
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestConfigShowsWhereValuesAreFrom(t *testing.T) {
	file := writeConfig(t, `[storage]
driver = "overlay"
graphroot = "/srv/$NAME"
flavor = "\u001b[31mred"
transient_store = true
driver_priority = ["overlay", "vfs"]
[storage.options]
mountopt = "nodev"
pull_options = {b = "1", a = "2"}
auto-userns-min-size = 7
[storage.options.overlay]
mountopt = "nodev,metacopy=on"
[storage.options.vfs]
ignore_chown_errors = "true"
`)
	variables := map[string]string{"CONTAINERS_STORAGE_CONF": file, "NAME": "x", "CSDB_RUNROOT": "/run/mine"}
	for _, test := range []struct{ line, want string }{
		{"config", `Read FILE

KEY                                      VALUE                FROM           EFFECT
storage.driver                           overlay              FILE:2         used
storage.driver_priority                  overlay, vfs         FILE:6         ignored
storage.graphroot                        /srv/x               FILE:3         used
storage.runroot                          /run/mine            $CSDB_RUNROOT  used
storage.transient_store                  true                 FILE:5         used
storage.options.mountopt                 nodev                FILE:8         ignored
storage.options.overlay.mountopt         nodev,metacopy=on    FILE:12        used
storage.options.vfs.ignore_chown_errors  true                 FILE:14        ignored
storage.options.auto-userns-min-size     7                    FILE:10        ignored
storage.options.pull_options             a=2, b=1             FILE:9         ignored
storage.options.disable-volatile         false                default        used
storage.flavor                           ` + "\uFFFD[31mred" + `             FILE:4         unknown
`},
		{
			"--root /mnt/copy --driver vfs --json config",
			`{"files":["FILE"],"settings":[` + strings.Join([]string{
				`{"key":"storage.driver","value":"vfs","source":{"flag":"--driver"},"effect":"used"}`,
				`{"key":"storage.driver_priority","value":["overlay","vfs"],"source":{"file":"FILE","line":6},"effect":"ignored"}`,
				`{"key":"storage.graphroot","value":"/mnt/copy","source":{"flag":"--root"},"effect":"used"}`,
				`{"key":"storage.runroot","value":"/run/mine","source":{"variable":"CSDB_RUNROOT"},"effect":"used"}`,
				`{"key":"storage.transient_store","value":true,"source":{"file":"FILE","line":5},"effect":"used"}`,
				`{"key":"storage.options.mountopt","value":"nodev","source":{"file":"FILE","line":8},"effect":"used"}`,
				`{"key":"storage.options.overlay.mountopt","value":"nodev,metacopy=on","source":{"file":"FILE","line":12},"effect":"ignored"}`,
				`{"key":"storage.options.vfs.ignore_chown_errors","value":"true","source":{"file":"FILE","line":14},"effect":"used"}`,
				`{"key":"storage.options.auto-userns-min-size","value":7,"source":{"file":"FILE","line":10},"effect":"ignored"}`,
				`{"key":"storage.options.pull_options","value":{"a":"2","b":"1"},"source":{"file":"FILE","line":9},"effect":"ignored"}`,
				`{"key":"storage.options.disable-volatile","value":false,"source":{},"effect":"used"}`,
				`{"key":"storage.flavor","value":"\u001b[31mred","source":{"file":"FILE","line":4},"effect":"unknown"}`,
			}, ",") + `],"driver-options":["vfs.mountopt=nodev","vfs.ignore_chown_errors=true"]}` + "\n",
		},
	} {
		r := withEnvironment(t, variables, strings.Fields(test.line)...)
		got := strings.ReplaceAll(r.stdout, file, "FILE")
		if diff := cmp.Diff(squeezed(test.want), squeezed(got)); diff != "" || r.status != exitOK || r.stderr != "" {
			t.Errorf("%s: %+v\n%s", test.line, r, diff)
		}
	}
}

// squeezed takes out what aligns columns.
func squeezed(table string) []string {
	var lines []string
	for line := range strings.Lines(table) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return lines
}

func TestDriversThatAreNotThereAreNotSupported(t *testing.T) {
	for name, want := range map[string]string{"zfs": "not supported", "vfs": "used", "overlay2": "used"} {
		r := withEnvironment(t, map[string]string{"STORAGE_DRIVER": name}, "config")
		if line := squeezed(r.stdout)[3]; line != "storage.driver "+name+" $STORAGE_DRIVER "+want {
			t.Errorf("%s: %q", name, line)
		}
	}
}

func TestConfigNeedsNoFile(t *testing.T) {
	r := csdb(t, "config")
	if want := "No file has been read."; r.status != exitOK || !strings.HasPrefix(r.stdout, want) || !strings.Contains(r.stdout, "/var/lib/containers/storage") {
		t.Errorf("%+v", r)
	}
	if r := csdb(t, "config", "more"); r.status != exitFailed {
		t.Errorf("%+v", r)
	}
}

func TestStoreIsWhereTheConfigurationSays(t *testing.T) {
	s := newSample(t)
	// Of what else containers-storage would refuse, nobody has asked.
	file := writeConfig(t, "[storage]\ngraphroot = '"+s.root+"'\nrunroot = '"+s.runRoot+"'\ndriver = 'zfs'\ntransient_store = true\nnonsense = 1\n")
	r := withEnvironment(t, map[string]string{"CONTAINERS_STORAGE_CONF": file}, "ls", "-q", "images")
	if want := s.csdb(t, "ls", "-q", "images"); r != want || r.status != exitOK {
		t.Errorf("got %+v, want %+v", r, want)
	}
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	for name, variables := range map[string]map[string]string{
		"$CSDB_ROOT": {"CONTAINERS_STORAGE_CONF": file, "CSDB_ROOT": nowhere},
		"a user":     {"_CONTAINERS_ROOTLESS_UID": "1000", "XDG_DATA_HOME": nowhere, "XDG_RUNTIME_DIR": nowhere},
	} {
		if r := withEnvironment(t, variables, "ls"); r.status != exitUnreadable || !strings.Contains(r.stderr, "in "+nowhere) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestWrongConfigurationMattersOnlyToThoseWhoNeedIt(t *testing.T) {
	s := newSample(t)
	variables := map[string]string{"CONTAINERS_STORAGE_CONF": writeConfig(t, "storage.runroot = 1\n")}
	for _, line := range []string{
		"--root ROOT --runroot RUN ls", "--root ROOT --runroot RUN info", "completion bash", "--help", "ls --help", "lease --help", "--version",
	} {
		line = strings.NewReplacer("ROOT", s.root, "RUN", s.runRoot).Replace(line)
		if r := withEnvironment(t, variables, strings.Fields(line)...); r.status != exitOK || r.stderr != "" {
			t.Errorf("%s: %+v", line, r)
		}
	}
	for _, line := range []string{"ls", "--root ROOT info", "--runroot RUN info", "config"} {
		line = strings.NewReplacer("ROOT", s.root, "RUN", s.runRoot).Replace(line)
		r := withEnvironment(t, variables, strings.Fields(line)...)
		if r.status != exitFailed || !strings.Contains(r.stderr, "storage.conf:1: storage.runroot: 1 is invalid") || strings.Count(r.stderr, "storage.conf") != 1 {
			t.Errorf("%s: %+v", line, r)
		}
	}
	// A user without a home has to say where the store is, and may.
	homeless := map[string]string{"_CONTAINERS_ROOTLESS_UID": "1000", "XDG_RUNTIME_DIR": s.runRoot}
	if r := withEnvironment(t, homeless, "ls"); r.status != exitFailed || !strings.Contains(r.stderr, "$HOME") {
		t.Errorf("%+v", r)
	}
	if r := withEnvironment(t, homeless, "--root", s.root, "ls"); r.status != exitOK {
		t.Errorf("%+v", r)
	}
	if r := withEnvironment(t, homeless, "config"); r.status != exitOK || !strings.Contains(r.stdout, "\nNot known: storage.graphroot: neither $XDG_DATA_HOME") {
		t.Errorf("%+v", r)
	}
	if r := withEnvironment(t, homeless, "config", "--json"); r.status != exitOK || strings.Count(r.stdout, `"error":"storage.graphroot: neither `) != 1 {
		t.Errorf("%+v", r)
	}
}
