package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/internal/config"
	"github.com/csdb/csdb/model"
)

const allOptions = `[storage]
driver = "DRIVER"
[storage.options]
mountopt = "nodev"
ignore_chown_errors = "true"
skip_mount_home = ""
use_composefs = "true"
disable-volatile = true
auto-userns-min-size = 7
[storage.options.overlay]
mountopt = "nodev,metacopy=on"
skip_mount_home = "false"
[storage.options.vfs]
ignore_chown_errors = "false"
[storage.options.zfs]
mountopt = "x"
`

func TestOptionsAreThoseOfTheDriver(t *testing.T) {
	for driver, want := range map[string][]string{
		"overlay": {"overlay.ignore_chown_errors=true", "overlay.mountopt=nodev,metacopy=on", "overlay.skip_mount_home=false"},
		"vfs":     {"vfs.mountopt=nodev", "vfs.ignore_chown_errors=false"},
		"zfs":     {"zfs.ignore_chown_errors=true"},
		"":        {".mountopt=nodev", ".ignore_chown_errors=true"},
	} {
		t.Run(driver, func(t *testing.T) {
			p := newPlace(t)
			p.write(t, "etc/storage.conf", strings.Replace(allOptions, "DRIVER", driver, 1))
			named := p.load(t)
			if diff := cmp.Diff(want, named.DriverOptions()); diff != "" {
				t.Errorf("named by the file: %s", diff)
			}
			// The same of a flag.
			p.write(t, "etc/storage.conf", strings.Replace(allOptions, "DRIVER", "btrfs", 1))
			flagged := p.load(t)
			flagged.Set(config.Driver, driver, config.Source{Flag: "-s"})
			if diff := cmp.Diff(want, flagged.DriverOptions()); diff != "" {
				t.Errorf("named by a flag: %s", diff)
			}
		})
	}
}

func TestUnsupportedOptionsAreOptions(t *testing.T) {
	c, err := loadText(t, `storage.driver = "overlay"
[storage.options]
size = "10G"
force_mask = 0o700
additionalimagestores = ["/a", "/b"]
additionallayerstores = ["/c:ref"]
overlay.mount_program = "/p"
`)
	must(t, err)
	want := []string{
		"overlay.imagestore=/a", "overlay.imagestore=/b", "overlay.additionallayerstore=/c:ref", "overlay.size=10G", "overlay.force_mask=0700", "overlay.mount_program=/p",
	}
	if diff := cmp.Diff(want, c.DriverOptions()); diff != "" {
		t.Error(diff)
	}
	if got := c.Check(anyDriver); !strings.Contains(fmt.Sprint(got), "storage.conf:6: ") {
		t.Errorf("line 6 is not refused: %v", got)
	}
	// Nobody asks for it any more.
	c.SetOptions([]string{"overlay.mountopt=nodev"}, config.Source{Flag: "--storage-opt"})
	must(t, c.Check(anyDriver))
	if diff := cmp.Diff([]string{"overlay.mountopt=nodev"}, c.DriverOptions()); diff != "" {
		t.Error(diff)
	}
}

func TestOptionsOfAnotherDriverAskForNothing(t *testing.T) {
	c, err := loadText(t, "storage.driver = 'vfs'\nstorage.options.overlay.mount_program = '/p'\nstorage.options.overlay.size = '1G'")
	must(t, err)
	must(t, c.Check(anyDriver))
	if got := c.Status(c.Get("storage.options.overlay.size")); got != config.Ignored {
		t.Errorf("it is %s", got)
	}
}

func TestOptionsOfOneDriverWarnIfNoneIsNamed(t *testing.T) {
	c, err := loadText(t, "[storage.options]\nmountopt = 'nodev'\noverlay.mountopt = 'nodev'\nzfs.mountopt = 'nodev'\nvfs.ignore_chown_errors = ''")
	must(t, err)
	if got := c.Warnings(); len(got) != 1 || !strings.Contains(got[0], "storage.conf:3: storage.options.overlay.mountopt has no effect") {
		t.Errorf("got %q", got)
	}
	c.Set(config.Driver, "overlay", config.Source{Flag: "-s"})
	if got := c.Warnings(); len(got) > 0 {
		t.Errorf("got %q", got)
	}
}

func TestOldNameOfOverlay(t *testing.T) {
	c, err := loadText(t, "\nstorage.driver = 'overlay2'\nstorage.options.overlay.mountopt = 'nodev'")
	must(t, err)
	if got := c.DriverOptions(); len(got) != 1 || got[0] != "overlay.mountopt=nodev" || c.Text(config.Driver) != "overlay" {
		t.Errorf("options of %q are %q", c.Text(config.Driver), got)
	}
	if got := c.Warnings(); len(got) != 1 || !strings.Contains(got[0], "storage.conf:2: overlay2 is an old name") {
		t.Errorf("got %q", got)
	}
}

func TestVariablesBeatFiles(t *testing.T) {
	p := newPlace(t)
	p.write(t, "etc/storage.conf", strings.Replace(allOptions, "DRIVER", "overlay", 1))
	p.variables["STORAGE_DRIVER"] = "vfs"
	c := p.load(t)
	p.want(t, c, config.Driver, "vfs", "$STORAGE_DRIVER")
	if diff := cmp.Diff([]string{"vfs.mountopt=nodev", "vfs.ignore_chown_errors=false"}, c.DriverOptions()); diff != "" {
		t.Error(diff)
	}
	for words, want := range map[string][]string{"a=1,,b=2": {"a=1", "b=2"}, "": nil, ",": nil} {
		p.variables["STORAGE_OPTS"] = words
		c := p.load(t)
		if diff := cmp.Diff(want, c.DriverOptions()); diff != "" {
			t.Errorf("%q: %s", words, diff)
		}
		for _, key := range []config.Key{"storage.options.mountopt", "storage.options.overlay.mountopt"} {
			if got := c.Status(c.Get(key)); got != config.Ignored {
				t.Errorf("%s is %s", key, got)
			}
		}
		if got := c.Status(c.Get(config.DisableVolatile)); got != config.Used {
			t.Errorf("what is no option of the driver is %s", got)
		}
	}
	// Who has no driver to name does not mean to take back that of the file.
	p.variables["STORAGE_DRIVER"] = ""
	p.want(t, p.load(t), config.Driver, "overlay", "DIR/etc/storage.conf:2")
}

func TestUnknownDriversAreRefusedWithTheirLine(t *testing.T) {
	none := func(string) (string, error) { return "", model.ErrDriverNotSupported }
	p := newPlace(t)
	must(t, p.load(t).Check(none)) // nobody names one
	file := p.write(t, "etc/storage.conf", "\n\n"+naming("zfs"))
	if err := p.load(t).Check(none); !errors.Is(err, model.ErrDriverNotSupported) || !strings.HasPrefix(err.Error(), file+":3: storage.driver: ") {
		t.Errorf("got %v", err)
	}
	p.variables["STORAGE_DRIVER"] = "floppy"
	if err := p.load(t).Check(none); !errors.Is(err, model.ErrDriverNotSupported) || !strings.HasPrefix(err.Error(), "$STORAGE_DRIVER: storage.driver: ") {
		t.Errorf("got %v", err)
	}
}

func TestReadFileFillsNothingIn(t *testing.T) {
	p := newPlace(t)
	p.write(t, "etc/storage.conf", naming("vfs"))
	file := p.write(t, "x", "storage.transient_store = true\nstorage.graphroot = '$HOME/g'\n")
	p.variables["HOME"] = p.dir
	c, err := config.ReadFile(p.host(), file)
	must(t, err)
	p.want(t, c, config.GraphRoot, "DIR/g", "DIR/x:2")
	p.want(t, c, config.RunRoot, "", "default")
	p.want(t, c, config.Driver, "", "default")
	if !c.Bool(config.TransientStore) {
		t.Error("what is not supported is not read")
	}
	if _, err := config.ReadFile(p.host(), p.path("missing")); err == nil {
		t.Error("a file that is not there has been read")
	}
	p.variables["STORAGE_DRIVER"] = "overlay"
	c, err = config.ReadFile(p.host(), file)
	must(t, err)
	p.want(t, c, config.Driver, "overlay", "$STORAGE_DRIVER")
}
