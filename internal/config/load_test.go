package config_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/internal/config"
	"github.com/csdb/csdb/model"
)

// naming returns a file that names itself as the driver.
func naming(name string) string { return "storage.driver = '" + name + "'\n" }

func TestOneFileCounts(t *testing.T) {
	all := map[string]string{
		"etc/storage.conf": "overlay", "usr/storage.conf": "vfs", "xdg/containers/storage.conf": "xdg",
		"home/.config/containers/storage.conf": "home", "named.conf": "named",
	}
	for _, test := range []struct {
		name      string
		uid       int
		variables map[string]string
		missing   []string // of all
		want      string   // a file, "" for none
	}{
		{name: "etc first", want: "etc/storage.conf"},
		{name: "then usr", missing: []string{"etc/storage.conf"}, want: "usr/storage.conf"},
		{name: "root has no home", missing: []string{"etc/storage.conf", "usr/storage.conf"}, want: ""},
		{
			name: "root's own is the last", variables: map[string]string{"XDG_CONFIG_HOME": "DIR/xdg"},
			missing: []string{"etc/storage.conf", "usr/storage.conf"}, want: "xdg/containers/storage.conf",
		},
		{name: "root has that of all before his own", variables: map[string]string{"XDG_CONFIG_HOME": "DIR/xdg"}, want: "etc/storage.conf"},
		{name: "named", variables: map[string]string{"CONTAINERS_STORAGE_CONF": "DIR/named.conf"}, want: "named.conf"},
		{
			name: "named by a user", uid: 1000, variables: map[string]string{"CONTAINERS_STORAGE_CONF": "DIR/named.conf", "XDG_CONFIG_HOME": "DIR/xdg"},
			want: "named.conf",
		},
		{name: "a user's", uid: 1000, variables: map[string]string{"XDG_CONFIG_HOME": "DIR/xdg"}, want: "xdg/containers/storage.conf"},
		{name: "a user's at home", uid: 1000, want: "home/.config/containers/storage.conf"},
		{name: "relative is none", uid: 1000, variables: map[string]string{"XDG_CONFIG_HOME": "xdg"}, want: "home/.config/containers/storage.conf"},
		{name: "a user has that of all if he has none", uid: 1000, missing: []string{"home/.config/containers/storage.conf"}, want: "etc/storage.conf"},
		{
			name: "in a user namespace", variables: map[string]string{"_CONTAINERS_ROOTLESS_UID": "1000"},
			want: "home/.config/containers/storage.conf",
		},
		{name: "root in a user namespace", variables: map[string]string{"_CONTAINERS_ROOTLESS_UID": "0"}, want: "etc/storage.conf"},
		{name: "nothing", missing: []string{"etc/storage.conf", "usr/storage.conf"}, want: ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlace(t)
			p.uid = test.uid
			for name, driver := range all {
				p.write(t, name, naming(driver))
			}
			for _, name := range test.missing {
				must(t, os.Remove(p.path(name)))
			}
			p.variables["HOME"] = p.path("home")
			for name, value := range test.variables {
				p.variables[name] = p.lengthen(value)
			}
			source := "default"
			if test.want != "" {
				source = "DIR/" + test.want + ":1"
			}
			p.want(t, p.load(t), config.Driver, all[test.want], source)
		})
	}
}

func TestNamedFileHasToExist(t *testing.T) {
	p := newPlace(t)
	p.write(t, "etc/storage.conf", naming("vfs"))
	for _, path := range []string{"", p.path("missing"), p.dir} {
		p.variables["CONTAINERS_STORAGE_CONF"] = path
		if _, err := config.Load(p.host()); err == nil || !strings.HasPrefix(err.Error(), "$CONTAINERS_STORAGE_CONF: ") {
			t.Errorf("%q: got %v", path, err)
		}
	}
	p.variables["CONTAINERS_STORAGE_CONF"] = os.DevNull
	p.want(t, p.load(t), config.Driver, "", "default")
}

func TestFilesAreNotMerged(t *testing.T) {
	p := newPlace(t)
	p.uid = 1000
	p.variables["HOME"] = p.path("home")
	p.variables["XDG_RUNTIME_DIR"] = p.path("runtime")
	p.write(t, "etc/storage.conf", "[storage]\ndriver = 'vfs'\nrunroot = '/r'\ngraphroot = '/g'\n[storage.options]\nignore_chown_errors = 'true'\n")
	p.write(t, "home/.config/containers/storage.conf", "[storage]\ndriver = 'overlay'\n")
	c := p.load(t)
	p.want(t, c, config.Driver, "overlay", "DIR/home/.config/containers/storage.conf:2")
	p.want(t, c, config.RunRoot, "DIR/runtime/containers", "default")
	p.want(t, c, config.GraphRoot, "DIR/home/.local/share/containers/storage", "default")
	if got := c.DriverOptions(); len(got) > 0 {
		t.Errorf("there are options: %q", got)
	}
	var passed []string
	for _, s := range c.Settings() {
		if s.Source.File == p.path("etc/storage.conf") && c.Status(s) == config.Ignored {
			passed = append(passed, string(s.Key))
		}
	}
	want := []string{"storage.driver", "storage.graphroot", "storage.runroot", "storage.options.ignore_chown_errors"}
	if diff := cmp.Diff(want, passed); diff != "" {
		t.Errorf("ignored of the other file: %s", diff)
	}
}

func TestOthersThanRootInheritLittle(t *testing.T) {
	p := newPlace(t)
	p.uid = 1000
	p.variables["HOME"] = p.path("home")
	p.variables["XDG_RUNTIME_DIR"] = p.path("runtime")
	p.write(t, "etc/storage.conf", `[storage]
driver = "overlay"
runroot = "/r"
graphroot = "/g"
imagestore = "/i"
transient_store = true
[storage.options]
pull_options = {a = "b"}
ignore_chown_errors = "true"
additionalimagestores = ["/x"]
[storage.options.overlay]
mountopt = "nodev"
mount_program = "/usr/bin/fuse-overlayfs"
`)
	c := p.load(t)
	p.want(t, c, config.Driver, "overlay", "DIR/etc/storage.conf:2")
	p.want(t, c, config.GraphRoot, "DIR/home/.local/share/containers/storage", "default")
	p.want(t, c, config.RunRoot, "DIR/runtime/containers", "default")
	if diff := cmp.Diff([]string{"overlay.ignore_chown_errors=true"}, c.DriverOptions()); diff != "" {
		t.Error(diff)
	}
	if c.Get(config.PullOptions).Value == nil {
		t.Error("pull options are gone")
	}
	must(t, c.Check(anyDriver))
}

func TestOthersThanRootInheritDriversThatNeedNoRoot(t *testing.T) {
	for driver, want := range map[string]string{"overlay": "overlay", "overlay2": "overlay", "vfs": "vfs", "btrfs": "btrfs", "zfs": "", "aufs": ""} {
		p := newPlace(t)
		p.uid = 1000
		p.write(t, "etc/storage.conf", naming(driver))
		if got := p.load(t).Text(config.Driver); got != want {
			t.Errorf("%s: got %q", driver, got)
		}
	}
}

func TestPathOfOthersThanRoot(t *testing.T) {
	const own, system = "home/.config/containers/storage.conf", "etc/storage.conf"
	for _, test := range []struct {
		name      string
		files     map[string]string
		variables map[string]string
		want      string
		source    string
	}{
		{name: "data home", variables: map[string]string{"XDG_DATA_HOME": "DIR/data"}, want: "DIR/data/containers/storage", source: "default"},
		{name: "home", variables: nil, want: "DIR/home/.local/share/containers/storage", source: "default"},
		{name: "of all users", files: map[string]string{system: "storage.rootless_storage_path = 'DIR/$USER/$UID'"}, want: "DIR/ann/1000", source: "DIR/etc/storage.conf:1"},
		{
			name:  "of all users, though there is another file",
			files: map[string]string{system: "storage.rootless_storage_path = '$HOME/x'", own: naming("vfs")}, want: "DIR/home/x", source: "DIR/etc/storage.conf:1",
		},
		{
			name:  "of the user",
			files: map[string]string{system: "storage.rootless_storage_path = '/x'", own: "storage.rootless_storage_path = '/y'"}, want: "/y", source: "DIR/" + own + ":1",
		},
		{
			name:  "graph root",
			files: map[string]string{own: "storage.rootless_storage_path = '/y'\nstorage.graphroot = '/z'"}, want: "/z", source: "DIR/" + own + ":2",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlace(t)
			p.uid = 1000
			p.variables["HOME"], p.variables["USER"] = p.path("home"), "ann"
			for name, value := range test.variables {
				p.variables[name] = p.lengthen(value)
			}
			for name, content := range test.files {
				p.write(t, name, p.lengthen(content))
			}
			c := p.load(t)
			p.want(t, c, config.GraphRoot, test.want, test.source)
			if s := c.Get(config.RootlessStoragePath); s.Value != nil && (c.Status(s) == config.Used) != (p.shorten(s.Source.String()) == test.source) {
				t.Errorf("%s, from %s, is %s", s.Key, s.Source, c.Status(s))
			}
		})
	}
}

func TestRootlessPathIsNothingToRoot(t *testing.T) {
	p := newPlace(t)
	p.write(t, "etc/storage.conf", "storage.rootless_storage_path = '$NOT_SET/x'")
	c := p.load(t)
	p.want(t, c, config.GraphRoot, "/var/lib/containers/storage", "default")
	p.want(t, c, config.RunRoot, "/run/containers/storage", "default")
	if got := c.Status(c.Get(config.RootlessStoragePath)); got != config.Ignored {
		t.Errorf("it is %s", got)
	}
}

func TestRuntimeDirectory(t *testing.T) {
	p := newPlace(t)
	p.uid = os.Geteuid()
	p.variables["_CONTAINERS_ROOTLESS_UID"] = "1000" // as in a user namespace
	p.variables["HOME"], p.variables["TMPDIR"] = p.path("home"), p.path("tmp")
	runRoot := func(want string) {
		t.Helper()
		p.want(t, p.load(t), config.RunRoot, want, "default")
	}
	runRoot("DIR/tmp/storage-run-1000/containers")
	must(t, os.MkdirAll(p.path("tmp/storage-run-1000"), 0o700))
	runRoot("DIR/tmp/storage-run-1000/containers")

	must(t, os.MkdirAll(p.path("users/1000"), 0o700))
	runRoot("DIR/users/1000/containers")
	must(t, os.Chmod(p.path("users/1000"), 0o755))
	runRoot("DIR/users/1000/containers")
	must(t, os.Chmod(p.path("users/1000"), 0o720))
	runRoot("DIR/tmp/storage-run-1000/containers")

	must(t, os.MkdirAll(p.path("real"), 0o700))
	must(t, os.Symlink(p.path("real"), p.path("link")))
	p.variables["XDG_RUNTIME_DIR"] = p.path("link")
	runRoot("DIR/real/containers")
}

func TestRuntimeDirectoryIsMadeWhereOthersCouldMakeIt(t *testing.T) {
	p := newPlace(t)
	p.uid = os.Geteuid()
	p.variables["_CONTAINERS_ROOTLESS_UID"] = "1000"
	p.variables["HOME"], p.variables["TMPDIR"] = p.path("home"), p.dir
	c, flagged := p.load(t), p.load(t)
	flagged.Set(config.RunRoot, p.path("storage-run-1000/containers"), config.Source{Flag: "--run"})
	must(t, flagged.MakeRuntimeDir())
	if _, err := os.Lstat(p.path("storage-run-1000")); !os.IsNotExist(err) {
		t.Fatalf("it is there, though a flag says what the run root is, or nobody wants to write: %v", err)
	}
	for range 2 {
		must(t, c.MakeRuntimeDir())
	}
	if info, err := os.Lstat(p.path("storage-run-1000")); err != nil || info.Mode() != os.ModeDir|0o700 {
		t.Errorf("got %v, %v", info, err)
	}
	must(t, os.Chmod(p.path("storage-run-1000"), 0o777)) // as if somebody else had been faster
	if err := c.MakeRuntimeDir(); !errors.Is(err, model.ErrInvalid) {
		t.Errorf("got %v", err)
	}
	p.variables["XDG_RUNTIME_DIR"] = p.path("runtime")
	must(t, p.load(t).MakeRuntimeDir())
	if _, err := os.Lstat(p.path("runtime")); !os.IsNotExist(err) {
		t.Errorf("the directory of somebody who has logged in is made: %v", err)
	}
}

func TestRuntimeDirectoryOfSomebodyElseIsRefused(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, dir string){
		"for all to write": func(t *testing.T, dir string) {
			t.Helper()
			must(t, os.Mkdir(dir, 0o700))
			must(t, os.Chmod(dir, 0o777))
		},
		"a link": func(t *testing.T, dir string) {
			t.Helper()
			must(t, os.Symlink("/", dir))
		},
		"a file": func(t *testing.T, dir string) {
			t.Helper()
			must(t, os.WriteFile(dir, nil, 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.uid = 4242
			if name != "another user's" {
				p.uid = os.Geteuid()
			}
			p.variables["_CONTAINERS_ROOTLESS_UID"] = "1000"
			p.variables["HOME"], p.variables["TMPDIR"] = p.path("home"), p.dir
			prepare(t, p.path("storage-run-1000"))
			c := p.load(t)
			if path, err := c.Path(config.RunRoot); !errors.Is(err, model.ErrInvalid) || path != "" {
				t.Errorf("got %q, %v", path, err)
			}
		})
	}
	p := newPlace(t)
	p.uid = os.Geteuid() + 1
	p.variables["_CONTAINERS_ROOTLESS_UID"] = "1000"
	p.variables["HOME"], p.variables["TMPDIR"] = p.path("home"), p.dir
	must(t, os.Mkdir(p.path("storage-run-1000"), 0o700))
	if path, err := p.load(t).Path(config.RunRoot); !errors.Is(err, model.ErrInvalid) {
		t.Errorf("another user's: got %q, %v", path, err)
	}
}

func TestUnknownHomeIsAnErrorOnlyForWhatIsThere(t *testing.T) {
	p := newPlace(t)
	p.uid = 1000
	p.variables["XDG_RUNTIME_DIR"] = p.path("runtime")
	c := p.load(t)
	p.want(t, c, config.RunRoot, "DIR/runtime/containers", "default")
	if path, err := c.Path(config.GraphRoot); !errors.Is(err, model.ErrInvalid) || !strings.Contains(err.Error(), "$XDG_DATA_HOME") {
		t.Errorf("got %q, %v", path, err)
	}
	c.Set(config.GraphRoot, "/g", config.Source{Flag: "--graph"})
	if path, err := c.Path(config.GraphRoot); err != nil || path != "/g" {
		t.Errorf("got %q, %v", path, err)
	}
}

func TestPathsAreExpanded(t *testing.T) {
	p := newPlace(t)
	p.variables["A"], p.variables["EMPTY"] = p.path("a"), ""
	must(t, os.Mkdir(p.path("real"), 0o700))
	must(t, os.Symlink(p.path("real"), p.path("link")))
	for value, want := range map[string]string{
		"/x/$UID": "/x/0", "$A/b": "DIR/a/b", "${A}/../c": "DIR/c", "DIR/link": "DIR/real", "DIR/link/missing": "DIR/link/missing", "/x/$EMPTY/y": "/x/y",
		"/x$NOT_SET": "", "$EMPTY/": "/", "${EMPTY}x": "", "$$": "",
	} {
		p.write(t, "etc/storage.conf", "[storage]\ngraphroot = '"+p.lengthen(value)+"'")
		c := p.load(t)
		path, err := c.Path(config.GraphRoot)
		if path != p.lengthen(want) || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v", value, path, err)
		}
		if err != nil && (!errors.Is(err, model.ErrInvalid) || !strings.Contains(err.Error(), "storage.conf:2: storage.graphroot: ")) {
			t.Errorf("%s: %v", value, err)
		}
	}
}
