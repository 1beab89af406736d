package config_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/internal/config"
	"github.com/csdb/csdb/model"
)

// keyCase is what can be said of a key.
type keyCase struct {
	key config.Key
	// right are values in TOML, with the status that each has where the driver
	// is overlay, or vfs for its own keys.
	right map[string]config.Status
	// wrong are values that are of another type, or may not be.
	wrong []string
}

// Values that are wrong for several kinds.
var (
	noText = []string{"1", "true", "1.5", "[]", "{}", "1979-05-27", "07:32:00"}
	noBool = append(noText[:1:1], `"true"`, "1.5", "[]", "{}")
	noList = []string{`"a"`, "1", "true", "{}", "[1]", `["a", 1]`, `[["a"]]`}
	noPath = append(slices.Clip(noText), `"relative"`, `"./x"`, `"~/x"`, `"/a\u0000b"`)
	noSize = append(slices.Clip(noText), `"big"`, `"-1"`, `"10 q"`)
	noYes  = append(slices.Clip(noText), `"yes"`, `"on"`, `" true"`)
	noNum  = append(noText[1:len(noText):len(noText)], `"1"`, "-1", "4294967296")
)

const (
	used, ignored, refused = config.Used, config.Ignored, config.Unsupported
)

func keyCases() []keyCase {
	const options = "storage.options."
	type statuses = map[string]config.Status
	return []keyCase{
		{"storage.driver", statuses{`"overlay"`: used, `"vfs"`: used, `""`: used, `'zfs'`: used}, noText},
		{"storage.driver_priority", statuses{`[]`: ignored, `["vfs", "overlay"]`: ignored}, noList},
		{"storage.runroot", statuses{`"/run/x"`: used, `"$DIR/x"`: used, `""`: used}, noPath},
		{"storage.graphroot", statuses{`"/var/x"`: used, `"${DIR}/x"`: used, `""`: used}, noPath},
		{"storage.imagestore", statuses{`""`: used, `"/images"`: used}, noPath},
		{"storage.rootless_storage_path", statuses{`""`: ignored, `"$HOME/x"`: ignored}, noPath},
		{"storage.transient_store", statuses{`false`: used, `true`: used}, noBool},
		{options + "additionalimagestores", statuses{`[]`: used, `[""]`: used, `["/a"]`: used, `["/a", "/b"]`: used}, noList},
		{options + "additionallayerstores", statuses{`[]`: used, `["/a:ref"]`: refused}, noList},
		{options + "imagestore", statuses{`""`: ignored, `"/x"`: ignored}, noText},
		{options + "size", statuses{`""`: used, `"0"`: used, `"10G"`: used}, noSize},
		{options + "mount_program", statuses{`""`: used, `"/usr/bin/fuse-overlayfs"`: used}, noText},
		{options + "mountopt", statuses{`""`: used, `"nodev"`: used}, noText},
		{options + "skip_mount_home", statuses{`""`: used, `"true"`: used, `"false"`: used}, noYes},
		{options + "ignore_chown_errors", statuses{`""`: used, `"true"`: used, `"0"`: used}, noYes},
		{options + "force_mask", statuses{`0`: used, `0o700`: used}, noNum},
		{options + "use_composefs", statuses{`"true"`: ignored}, noText},
		{options + "root-auto-userns-user", statuses{`"storage"`: ignored}, noText},
		{options + "auto-userns-min-size", statuses{`0`: ignored, `1024`: ignored, `4294967295`: ignored}, noNum},
		{options + "auto-userns-max-size", statuses{`65536`: ignored}, noNum},
		{options + "disable-volatile", statuses{`true`: used, `false`: used}, noBool},
		{options + "pull_options", statuses{`{}`: ignored, `{enable_partial_images = "true", "a b" = ""}`: ignored}, []string{`"a"`, "1", "[]", `{a = true}`, `{a = {b = "c"}}`}},
		{options + "overlay.ignore_chown_errors", statuses{`"true"`: used}, noYes},
		{options + "overlay.mountopt", statuses{`"nodev,metacopy=on"`: used}, noText},
		{options + "overlay.mount_program", statuses{`""`: used, `"/x"`: used}, noText},
		{options + "overlay.size", statuses{`""`: used, `"0"`: used, `"1tib"`: used}, noSize},
		{options + "overlay.inodes", statuses{`""`: used, `"0"`: used, `"1000"`: used}, append(slices.Clip(noText), `"many"`, `"-1"`, `"1k"`)},
		{options + "overlay.skip_mount_home", statuses{`"true"`: used}, noYes},
		{options + "overlay.use_composefs", statuses{`""`: used, `"false"`: used, `"true"`: refused}, noYes},
		{options + "overlay.force_mask", statuses{`""`: used, `"0700"`: used, `"shared"`: used, `"private"`: used}, append(slices.Clip(noText), `"rwx"`, `"0800"`, `"10000"`, `"-1"`)},
		{options + "vfs.ignore_chown_errors", statuses{`"true"`: used}, noYes},
		{options + "btrfs.min_space", statuses{`"1G"`: ignored}, noSize},
		{options + "btrfs.size", statuses{`"1G"`: ignored}, noSize},
		{options + "zfs.fsname", statuses{`"tank/x"`: ignored}, noText},
		{options + "zfs.mountopt", statuses{`"nodev"`: ignored}, noText},
		{options + "zfs.size", statuses{`"1G"`: ignored}, noSize},
		{options + "aufs.mountopt", statuses{`"nodev"`: ignored}, noText},
		{options + "thinpool", statuses{`{}`: ignored, `{size = 1, x = [{y = true}]}`: ignored}, []string{`"a"`, "1", "[]", "true"}},
		{"storage", nil, []string{`"a"`, "1", "[]", "true"}},
		{"storage.options", nil, []string{`"a"`, "1", "[]", "true"}},
		{options + "overlay", nil, []string{`"a"`, "[1]", "true"}},
		{options + "vfs", nil, []string{`"a"`}},
		{options + "btrfs", nil, []string{`"a"`}},
		{options + "zfs", nil, []string{`"a"`}},
		{options + "aufs", nil, []string{`"a"`}},
	}
}

func TestEveryKeyHasACase(t *testing.T) {
	var want, got []string
	for _, key := range config.Keys() {
		want = append(want, string(key))
	}
	for _, c := range keyCases() {
		got = append(got, string(c.key))
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-), cases (+):\n%s", diff)
	}
}

// The key stands in line 3, below its driver.
func document(key config.Key, value string) string {
	driver := `"overlay"`
	switch {
	case key == config.Driver:
		return fmt.Sprintf("\n\n%s = %s\n", key, value)
	case key == "storage":
		return fmt.Sprintf("\n\n%s = %s\n", key, value)
	case strings.HasPrefix(string(key), "storage.options.vfs."):
		driver = `"vfs"`
	}
	return fmt.Sprintf("# a file\nstorage.driver = %s\n%s = %s\n", driver, key, value)
}

func TestRightValuesHaveTheirEffect(t *testing.T) {
	for _, test := range keyCases() {
		for value, want := range test.right {
			t.Run(fmt.Sprintf("%s=%s", test.key, value), func(t *testing.T) {
				p := newPlace(t)
				p.variables["DIR"] = p.dir
				file := p.write(t, "etc/storage.conf", document(test.key, value))
				c := p.load(t)
				setting := c.Get(test.key)
				if got := c.Status(setting); got != want {
					t.Errorf("it is %s instead of %s", got, want)
				}
				if want := (config.Source{File: file, Line: 3}); value != `""` && setting.Source != want {
					t.Errorf("it is from %s instead of %s", setting.Source, want)
				}
				if w := c.Warnings(); len(w) > 0 {
					t.Errorf("there are warnings: %q", w)
				}
				err := c.Check(anyDriver)
				if want != refused && err != nil {
					t.Errorf("it is refused: %v", err)
				}
				text := fmt.Sprintf("%s:3: %s: not supported by this version", file, test.key)
				if want == refused && (!errors.Is(err, model.ErrUnsupported) || err.Error() != text) {
					t.Errorf("the error is %q, want %q", err, text)
				}
			})
		}
	}
}

func TestWrongValuesAreRefusedWithTheirLine(t *testing.T) {
	for _, test := range keyCases() {
		for _, value := range test.wrong {
			t.Run(fmt.Sprintf("%s=%s", test.key, value), func(t *testing.T) {
				p := newPlace(t)
				file := p.write(t, "etc/storage.conf", document(test.key, value))
				c, err := config.Load(p.host())
				if !errors.Is(err, model.ErrInvalid) {
					t.Fatalf("got %+v, %v", c, err)
				}
				if want := fmt.Sprintf("%s:3: %s: ", file, test.key); !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "it has to be ") {
					t.Errorf("%q does not begin with %q, or does not say what is allowed", err, want)
				}
			})
		}
	}
}

func TestAllWrongLinesAreNamed(t *testing.T) {
	_, err := loadText(t, "[storage]\ndriver = 1\ngraphroot = 2\nrunroot = '/x'\n[storage.options]\nsize = true\n")
	for _, line := range []string{":2: storage.driver", ":3: storage.graphroot", ":6: storage.options.size"} {
		if !strings.Contains(fmt.Sprint(err), line) {
			t.Errorf("%v does not mention %s", err, line)
		}
	}
}

// anyDriver is a registry of all drivers.
func anyDriver(name string) (string, error) { return name, nil }
