package overlay_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/drivers/overlay"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
)

// status returns the driver's status as a map.
func status(t testing.TB, d drivers.Driver) map[string]string {
	t.Helper()
	pairs, err := d.Status(t.Context())
	must(t, err)
	found := make(map[string]string)
	for _, pair := range pairs {
		found[pair.Name] = pair.Value
	}
	return found
}

func TestStatusTellsWhatTheKernelDoes(t *testing.T) {
	for mountopt, want := range map[string]string{
		"":                              "native true, metacopy false",
		"nodev":                         "native true, metacopy false",
		"nodev,ro":                      "native true, metacopy false",
		"metacopy=on":                   "native false, metacopy true",
		"redirect_dir=on":               "native false, metacopy false",
		"metacopy=on,redirect_dir=off":  "native true, metacopy false", // they contradict each other
		"unicorns=2":                    "native false, metacopy false",
		strings.Repeat("nodev,", 100):   "native true, metacopy false",
		"redirect_dir=nofollow,nodev/x": "native false, metacopy false",
	} {
		for way, construct := range constructors() {
			t.Run(fmt.Sprintf("%s/%.40s", way, mountopt), func(t *testing.T) {
				got := status(t, openIn(t, construct, newHome(t), "overlay.mountopt="+mountopt))
				if text := fmt.Sprintf("native %s, metacopy %s", got["Native Overlay Diff"], got["Using metacopy"]); text != want {
					t.Errorf("got %s, want %s", text, want)
				}
				if got["Backing Filesystem"] != "extfs" || got["Supports d_type"] != "true" || got["Supports volatile"] != "true" || got["Supports shifting"] != "false" {
					t.Errorf("status is %v", got)
				}
			})
		}
	}
}

func TestProbesLeaveNothingInTheHome(t *testing.T) {
	for way, construct := range constructors() {
		t.Run(way, func(t *testing.T) {
			home := newHome(t)
			// An interrupted probe leaves something.
			must(t, os.MkdirAll(filepath.Join(home, ".probe", "upper", "something"), 0o700))
			openIn(t, construct, home)
			entries, err := os.ReadDir(home)
			must(t, err)
			if len(entries) != 1 || entries[0].Name() != "l" {
				t.Errorf("home contains %v", entries)
			}
		})
	}
}

func TestProbesAreMadeOncePerKernelAndHome(t *testing.T) {
	home := newHome(t)
	openIn(t, overlay.Open, home)
	answers, err := filepath.Glob(home + "-run/*")
	must(t, err)
	var names []string
	for _, path := range answers {
		names = append(names, filepath.Base(path))
	}
	want := []string{"metacopy()-false", "native-diff()-true", "overlay-true", "volatile-true"}
	if !slices.Equal(names, want) {
		t.Fatalf("answers are %q, want %q", names, want)
	}
	// A lie that has the form of an answer is believed.
	must(t, os.Rename(home+"-run/volatile-true", home+"-run/volatile-false"))
	if got := status(t, openIn(t, overlay.Open, home))["Supports volatile"]; got != "false" {
		t.Error("the kernel was asked again")
	}
	// A refusal is remembered with its reason.
	premise, err := os.ReadFile(home + "-run/overlay-true")
	must(t, err)
	must(t, os.Remove(home+"-run/overlay-true"))
	must(t, os.WriteFile(home+"-run/overlay-false", append(premise, "because of the weather\n"...), 0o600))
	_, err = overlay.Open(t.Context(), drivers.Config{Home: home, RunHome: home + "-run"})
	if !errors.Is(err, model.ErrDriverNotSupported) || !strings.Contains(fmt.Sprint(err), "because of the weather") {
		t.Errorf("got %v, want ErrDriverNotSupported and the reason", err)
	}
	// What holds for one home does not for another one elsewhere.
	elsewhere := filepath.Join(testutil.SharedLoop(t, "xfs"), "overlay")
	driver, err := overlay.Open(t.Context(), drivers.Config{Home: elsewhere, RunHome: home + "-run"})
	must(t, err)
	must(t, driver.Close(t.Context()))
}

func TestDamagedAnswersAreAskedForAgain(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, answer string){
		"empty": func(t *testing.T, answer string) { t.Helper(); must(t, os.WriteFile(answer, nil, 0o600)) },
		"cut":   func(t *testing.T, answer string) { t.Helper(); must(t, os.Truncate(answer, 10)) },
		"garbage": func(t *testing.T, answer string) {
			t.Helper()
			must(t, os.WriteFile(answer, []byte("\x00\xff"), 0o600))
		},
		"of another kernel": func(t *testing.T, answer string) {
			t.Helper()
			must(t, os.WriteFile(answer, []byte("kernel 2.6.32, device 8:1\nno\n"), 0o600))
		},
		"a directory": func(t *testing.T, answer string) {
			t.Helper()
			must(t, os.Remove(answer))
			must(t, os.Mkdir(answer, 0o700))
		},
		"a full directory": func(t *testing.T, answer string) {
			t.Helper()
			must(t, os.Remove(answer))
			must(t, os.MkdirAll(answer+"/full", 0o700))
		},
		"twofold": func(t *testing.T, answer string) {
			t.Helper()
			content, err := os.ReadFile(answer)
			must(t, err)
			must(t, os.WriteFile(strings.Replace(answer, "true", "false", 1), content, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			home := newHome(t)
			want := status(t, openIn(t, overlay.Open, home))
			for _, question := range []string{"overlay-true", "volatile-true", "native-diff()-true"} {
				damage(t, home+"-run/"+question)
			}
			for range 2 {
				got := status(t, openIn(t, overlay.Open, home))
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("got %v, want %v", got, want)
				}
			}
		})
	}
}

func TestOpenWorksWithoutARunDirectoryToWriteTo(t *testing.T) {
	testutil.NeedRoot(t)
	driver, err := overlay.Open(t.Context(), drivers.Config{Home: newHome(t), RunHome: "/proc/no/such"})
	must(t, err)
	must(t, driver.Close(t.Context()))
}

func TestManyDriversProbeAtTheSameTime(t *testing.T) {
	testutil.NeedRoot(t)
	home := newHome(t)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			driver, err := overlay.Open(t.Context(), drivers.Config{Home: home, RunHome: fmt.Sprintf("%s-run%d", home, i)})
			if err != nil {
				t.Error(err)
				return
			}
			if err := driver.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestProbeThatIsInterruptedIsNotRemembered(t *testing.T) {
	testutil.NeedRoot(t)
	home := newHome(t)
	must(t, os.MkdirAll(home, 0o700))
	lock, err := os.Open(home)
	must(t, err)
	must(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX)) // somebody else probes for ever
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = overlay.Open(ctx, drivers.Config{Home: home, RunHome: home + "-run"})
	wantErr(t, err, context.Canceled)
	must(t, lock.Close())
	if got := status(t, openIn(t, overlay.Open, home)); got["Native Overlay Diff"] != "true" {
		t.Errorf("status is %v", got)
	}
}

func TestOverlayOnOverlayIsRefusedAndLeavesNothing(t *testing.T) {
	testutil.NeedRoot(t)
	dir := testutil.SharedLoop(t, "ext4")
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	merged := filepath.Join(dir, "merged")
	must(t, unix.Mount("overlay", merged, "overlay", 0, fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", dir)))
	t.Cleanup(func() { must(t, unix.Unmount(merged, unix.MNT_DETACH)) })
	_, err := overlay.Open(t.Context(), drivers.Config{Home: merged + "/graph/overlay", RunHome: dir + "/run"})
	wantErr(t, err, model.ErrIncompatibleFS)
	if entries, err := os.ReadDir(merged); err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestHomeOfADriverThatCannotBeUsedIsNotLeftBehind(t *testing.T) {
	testutil.NeedRoot(t)
	home := newHome(t)
	openIn(t, overlay.Open, home+"-other") // leaves its answers
	answers := home + "-other-run"
	premise, err := os.ReadFile(answers + "/overlay-true")
	must(t, err)
	must(t, os.Rename(answers+"/overlay-true", answers+"/overlay-false"))
	must(t, os.WriteFile(answers+"/overlay-false", append(premise, "no\n"...), 0o600))
	_, err = overlay.Open(t.Context(), drivers.Config{Home: home, RunHome: answers})
	wantErr(t, err, model.ErrDriverNotSupported)
	if _, err := os.Lstat(home); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("home is left: %v", err)
	}
}

func TestHomeOnAReadOnlyFileSystemCanBeRead(t *testing.T) {
	disk := testutil.LoopMount(t, "ext4")
	home := filepath.Join(disk, "overlay")
	driver := openIn(t, overlay.Open, home)
	chain(t, driver, "base", "top")
	must(t, os.WriteFile(filepath.Join(mount(t, driver, "top"), "file"), []byte("content"), 0o600))
	must(t, driver.Unmount(t.Context(), "top"))
	must(t, unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	defer func() { must(t, unix.Mount("", disk, "", unix.MS_REMOUNT, "")) }()

	reader, err := overlay.Open(t.Context(), drivers.Config{Home: home, RunHome: t.TempDir()})
	must(t, err)
	if ids, err := reader.List(t.Context()); err != nil || !slices.Equal(ids, []string{"base", "top"}) {
		t.Errorf("layers are %q, %v", ids, err)
	}
	changes, err := drivers.Changes(t.Context(), reader, "top", "base")
	if err != nil || !slices.Equal(changes, []model.Change{{Path: "/file", Kind: model.ChangeAdd}}) {
		t.Errorf("changes are %v, %v", changes, err)
	}
	path, err := reader.Mount(t.Context(), "top", drivers.MountOptions{ReadOnly: true})
	must(t, err)
	if text, err := os.ReadFile(filepath.Join(path, "file")); err != nil || string(text) != "content" {
		t.Errorf("file contains %q, %v", text, err)
	}
	must(t, reader.Unmount(t.Context(), "top"))
	wantErr(t, reader.Create(t.Context(), "new", "top", drivers.CreateOptions{}), model.ErrReadOnly)
	wantErr(t, reader.Remove(t.Context(), "top"), model.ErrReadOnly)
	must(t, reader.Close(t.Context()))
}
