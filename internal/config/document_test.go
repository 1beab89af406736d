package config_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/internal/config"
	"github.com/csdb/csdb/model"
)

func TestValuesHaveTheirLineHoweverTheyAreWritten(t *testing.T) {
	for name, text := range map[string]string{
		"tables":            "[storage]\n\n[storage.options]\n# x\n[storage.options.overlay]\n\nmountopt = 'nodev'\n",
		"dotted":            "\n\n\n\n\n\nstorage.options.overlay.mountopt = 'nodev'",
		"inline table":      "\n\n\n[storage]\n\n\noptions = {overlay = {mountopt = 'nodev'}}",
		"below long values": "[storage]\ndriver_priority = [\n'a',\n'b']\n[storage.options.overlay]\n\nmountopt = 'nodev'\n",
		"quoted":            "[storage.'options']\n\n\n\n\n\n\"overlay\".\"mount\\u006Fpt\" = '''nodev'''",
		"several lines":     "storage.runroot = '''/\n\n\n'''\n\n\nstorage.options.overlay.mountopt = 'nodev'",
		"carriage returns":  "[storage]\r\ndriver = ''\r\n\r\n\r\n\r\n[storage.options.overlay]\r\nmountopt = 'nodev'",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := loadText(t, text)
			must(t, err)
			if got := c.Get("storage.options.overlay.mountopt"); got.Value != "nodev" || got.Source.Line != 7 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestUnknownKeysAreWarnedAboutOnce(t *testing.T) {
	p := newPlace(t)
	file := p.write(t, "etc/storage.conf", `top = 1
[storage]
drivr = "overlay"
"storage.driver" = "x"
[storage.options]
"two\nlines" = {a = 1, b = {c = 2}}
[storage.options.overlay2]
mountopt = "x"
[[storage.list]]
a = 1
[[storage.list]]
a = 2
[storage.list.sub]
[storage.driver_options]
`)
	var want []string
	for _, at := range []string{
		"1: unknown key top", "3: unknown key storage.drivr", `4: unknown key storage."storage.driver"`,
		`6: unknown key storage.options."two\nlines".a`, `6: unknown key storage.options."two\nlines".b.c`,
		"8: unknown key storage.options.overlay2.mountopt", "9: unknown key storage.list",
	} {
		want = append(want, file+":"+at)
	}
	c := p.load(t)
	if diff := cmp.Diff(want, c.Warnings()); diff != "" {
		t.Error(diff)
	}
	for _, s := range c.Settings()[len(c.Settings())-len(want):] {
		if c.Status(s) != config.Unknown {
			t.Errorf("%s is %s", s.Key, c.Status(s))
		}
	}
	if got := c.Text(config.Driver); got != "" {
		t.Errorf("the driver is %q", got)
	}
}

func TestKnownKeysAreNoTables(t *testing.T) {
	for _, text := range []string{
		"\n[storage.driver]\na = 1", "\n[storage.driver]", "\nstorage.driver.a = 1", "\nstorage.driver = {}", "\nstorage.driver = {a = 1}",
		"\n[[storage.driver]]\na = 1",
	} {
		if _, err := loadText(t, text); !errors.Is(err, model.ErrInvalid) || !strings.Contains(err.Error(), "storage.conf:2: storage.driver: a ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPullOptionsAreOneValueHoweverTheyAreWritten(t *testing.T) {
	for name, text := range map[string]string{
		"inline": "[storage.options]\npull_options = {a = 'b', c = 'd'}",
		"table":  "\n[storage.options.pull_options]\na = 'b'\nc = 'd'",
		"dotted": "[storage.options]\npull_options.a = 'b'\npull_options.c = 'd'",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := loadText(t, text)
			must(t, err)
			got := c.Get(config.PullOptions)
			if diff := cmp.Diff(map[string]string{"a": "b", "c": "d"}, got.Value); diff != "" || got.Source.Line != 2 {
				t.Errorf("from %s: %s", got.Source, diff)
			}
		})
	}
}

func TestWhatIsNoTOMLIsRefusedWithItsLine(t *testing.T) {
	for _, text := range []string{
		"[storage]\ndriver = ", "[storage]\ndriver", "\n[storage", "\n= 1", "[storage]\ndriver = 'a' 'b'", "a = 1\na = 2",
		"[storage]\n[storage]", "a = 1\n[a]", "\n\"\xff\" = 1", "\nx = \"\\q\"",
	} {
		if _, err := loadText(t, text); !errors.Is(err, model.ErrInvalid) || !strings.Contains(err.Error(), "storage.conf:2: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestLargeFilesAreRefused(t *testing.T) {
	if _, err := loadText(t, strings.Repeat("#", 1<<20)); err != nil {
		t.Error(err)
	}
	if _, err := loadText(t, strings.Repeat("#", 1<<20+1)); !errors.Is(err, model.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

// FuzzParse looks for panics, and for values that no line has.
func FuzzParse(f *testing.F) {
	for _, test := range keyCases() {
		for value := range test.right {
			f.Add([]byte(document(test.key, value)))
		}
		for _, value := range test.wrong {
			f.Add([]byte(document(test.key, value)))
		}
	}
	f.Add([]byte("[storage.options.pull_options]\na.b = 'c'\n[[x]]\n[x.y]\n'z' = {q = [{}]}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p := newPlace(t)
		file := p.write(t, "storage.conf", string(text))
		p.variables["CONTAINERS_STORAGE_CONF"] = file
		c, err := config.Load(p.host())
		if err != nil {
			if !errors.Is(err, model.ErrInvalid) {
				t.Errorf("got %v, which is not ErrInvalid", err)
			}
			return
		}
		lines := strings.Count(string(text), "\n") + 1
		for _, s := range c.Settings() {
			if s.Source.File == file && (s.Source.Line < 1 || s.Source.Line > lines) {
				t.Errorf("%s is said to be in line %d of %d", s.Key, s.Source.Line, lines)
			}
			if s.Source.File == file && s.Value == nil {
				t.Errorf("%s has no value", s.Key)
			}
		}
		_ = fmt.Sprint(c.Check(anyDriver), c.Warnings(), c.DriverOptions())
	})
}

func TestFilesThatCannotBeReadAreErrors(t *testing.T) {
	p := newPlace(t)
	must(t, os.MkdirAll(p.path("etc/storage.conf"), 0o700))
	if _, err := config.Load(p.host()); err == nil || !strings.Contains(err.Error(), p.path("etc/storage.conf")) {
		t.Errorf("got %v", err)
	}
}
