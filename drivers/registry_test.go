package drivers_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/model"
)

// fake is a driver of which only the name is of interest.
type fake struct {
	drivers.Driver

	config drivers.Config
}

// registry returns drivers that open with the given errors, in an order like
// that of the real ones, and a list of those that were tried.
func registry(errs map[string]error) (all drivers.Registry, tried *[]string) {
	tried = new([]string)
	for _, name := range []string{"overlay", "btrfs", "zfs", "vfs"} {
		entry := drivers.Entry{Name: name, LastResort: name == "vfs"}
		if name == "overlay" {
			entry.Aliases = []string{"overlay2"}
		}
		entry.Open = func(_ context.Context, config drivers.Config) (drivers.Driver, error) {
			*tried = append(*tried, name)
			if err := errs[name]; err != nil {
				return nil, err
			}
			return &fake{config: config}, nil
		}
		all = append(all, entry)
	}
	return all, tried
}

func TestOpenChoosesADriver(t *testing.T) {
	unsupported := fmt.Errorf("of the kernel: %w", model.ErrDriverNotSupported)
	prerequisites := fmt.Errorf("without zfs(8): %w", model.ErrDriverPrerequisites)
	incompatible := fmt.Errorf("on ext4: %w", model.ErrIncompatibleFS)
	broken := errors.New("broken")
	for _, test := range []struct {
		name     string
		spec     drivers.Spec
		prior    string // directories in the root
		file     string // a file in the root
		errs     map[string]error
		tried    string
		want     string // driver, or "" for an error
		matches  error
		mentions []string
	}{
		{name: "the first of all", tried: "overlay", want: "overlay"},
		{
			name: "the next if one cannot be used", tried: "overlay btrfs zfs vfs", want: "vfs",
			errs: map[string]error{"overlay": unsupported, "btrfs": incompatible, "zfs": prerequisites},
		},
		{
			name: "not the next if one is broken", tried: "overlay btrfs", matches: broken, mentions: []string{"btrfs"},
			errs: map[string]error{"overlay": unsupported, "btrfs": broken},
		},
		{
			name: "none", tried: "overlay btrfs zfs vfs", matches: model.ErrDriverNotSupported,
			errs:     map[string]error{"overlay": unsupported, "btrfs": incompatible, "zfs": prerequisites, "vfs": unsupported},
			mentions: []string{"of the kernel", "on ext4", "without zfs(8)"},
		},
		{name: "by priority", spec: drivers.Spec{Priority: []string{"zfs", "vfs"}}, tried: "zfs", want: "zfs"},
		{
			name: "by priority, then the others", spec: drivers.Spec{Priority: []string{"unicorn", "vfs", "vfs", "overlay2"}},
			errs:  map[string]error{"vfs": unsupported, "overlay": unsupported, "btrfs": unsupported},
			tried: "vfs overlay btrfs zfs", want: "zfs",
		},
		{name: "by name", spec: drivers.Spec{Name: "vfs"}, prior: "overlay", tried: "vfs", want: "vfs"},
		{name: "by another name", spec: drivers.Spec{Name: "overlay2"}, tried: "overlay", want: "overlay"},
		{
			name: "by name only", spec: drivers.Spec{Name: "zfs"}, tried: "zfs",
			errs: map[string]error{"zfs": prerequisites}, matches: model.ErrDriverPrerequisites, mentions: []string{"zfs"},
		},
		{
			name: "by unknown name", spec: drivers.Spec{Name: "unicorn"}, matches: model.ErrDriverNotSupported,
			mentions: []string{"unicorn", "overlay, btrfs, zfs, vfs"},
		},
		{name: "by content", prior: "zfs", tried: "zfs", want: "zfs"},
		{
			name: "by content, whatever it takes", prior: "zfs", tried: "zfs",
			errs: map[string]error{"zfs": prerequisites}, matches: model.ErrDriverPrerequisites,
		},
		{name: "by content of several", prior: "btrfs overlay", matches: model.ErrInvalid, mentions: []string{"overlay, btrfs"}},
		{name: "not by content of the last resort", prior: "vfs", tried: "overlay", want: "overlay"},
		{name: "by content beside that of the last resort", prior: "vfs btrfs", tried: "btrfs", want: "btrfs"},
		{
			name: "by content of the last resort if it is configured", spec: drivers.Spec{Priority: []string{"overlay", "vfs"}}, prior: "vfs",
			tried: "vfs", want: "vfs",
		},
		{name: "by content of what is configured", spec: drivers.Spec{Priority: []string{"zfs", "vfs"}}, prior: "overlay zfs", tried: "zfs", want: "zfs"},
		{name: "not by a file", file: "btrfs", prior: "zfs overlay-images", tried: "zfs", want: "zfs"},
	} {
		t.Run(test.name, func(t *testing.T) {
			spec := test.spec
			spec.Root, spec.RunRoot, spec.Options = t.TempDir(), t.TempDir(), []string{"a=b"}
			spec.Others = []string{"/first", "/second"}
			if test.file != "" {
				must(t, os.WriteFile(filepath.Join(spec.Root, test.file), nil, 0o600))
			}
			for dir := range strings.FieldsSeq(test.prior) {
				must(t, os.MkdirAll(filepath.Join(spec.Root, dir), 0o700))
			}
			all, tried := registry(test.errs)
			driver, err := all.Open(t.Context(), spec)
			if got := strings.Join(*tried, " "); got != test.tried {
				t.Errorf("tried %q, want %q", got, test.tried)
			}
			if test.want == "" {
				if !errors.Is(err, test.matches) {
					t.Errorf("got %v, want %v", err, test.matches)
				}
				for _, text := range test.mentions {
					if !strings.Contains(fmt.Sprint(err), text) {
						t.Errorf("%q does not mention %q", err, text)
					}
				}
				return
			}
			must(t, err)
			opened, ok := driver.(*fake)
			if !ok {
				t.Fatalf("got a %T", driver)
			}
			config := opened.config
			if config.Home != filepath.Join(spec.Root, test.want) || config.RunHome != filepath.Join(spec.RunRoot, test.want) || !slices.Equal(config.Options, spec.Options) {
				t.Errorf("opened with %+v", config)
			}
			others := []string{filepath.Join("/first", test.want), filepath.Join("/second", test.want)}
			if !slices.Equal(config.Others, others) {
				t.Errorf("other homes are %q, want %q", config.Others, others)
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
