package archive_test

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/internal/archive"
	"github.com/csdb/csdb/internal/testutil"
)

// gnuTar runs GNU tar in a directory and returns what it writes.
func gnuTar(t *testing.T, dir string, stdin []byte, args ...string) []byte {
	t.Helper()
	testutil.NeedTool(t, "tar")
	cmd := exec.CommandContext(t.Context(), "tar", args...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tar %q: %v: %s", args, err, stderr.String())
	}
	return out
}

func TestGNUTarUnpacksWhatPackWrites(t *testing.T) {
	testutil.NeedRoot(t)
	from, to := t.TempDir(), t.TempDir()
	testutil.OddTree(t, from)
	gnuTar(t, to, pack(t, from, archive.PackOptions{}), "--extract", "--preserve-permissions", "--same-owner", "--numeric-owner",
		"--xattrs", "--xattrs-include=*")
	want, got := testutil.Snapshot(t, from), testutil.Snapshot(t, to)
	for name, e := range want {
		if e.Type == "socket" || name == "." {
			delete(want, name)
		}
	}
	delete(got, ".")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-packed +unpacked by tar: %s", diff)
	}
}

func TestUnpackReadsWhatGNUTarWrites(t *testing.T) {
	testutil.NeedRoot(t)
	from := t.TempDir()
	testutil.OddTree(t, from)
	for _, format := range []string{"posix", "gnu"} {
		t.Run(format, func(t *testing.T) {
			args := []string{"--create", "--format=" + format, "--numeric-owner", "--warning=no-file-ignored"}
			if format == "posix" {
				args = append(args, "--xattrs", "--xattrs-include=user.*", "--xattrs-include=security.capability")
			}
			to := t.TempDir()
			unpackStream(t, to, gnuTar(t, from, nil, append(args, ".")...))
			want, got := afterRoundTrip(testutil.Snapshot(t, from)), testutil.Snapshot(t, to)
			delete(got, ".")
			for name, e := range want {
				if e.Type == "fifo" { // tar makes two of one with two names
					e.Link = ""
					want[name] = e
				}
			}
			if format == "gnu" { // has neither attributes nor fractions of seconds
				want, got = coarse(want), coarse(got)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-packed by tar +unpacked: %s", diff)
			}
		})
	}
}

func coarse(l testutil.Listing) testutil.Listing {
	result := make(testutil.Listing)
	for name, e := range l {
		e.ModTime, e.Xattrs = e.ModTime.Truncate(1e9), nil
		result[name] = e
	}
	return result
}

func TestUnpackReadsSparseFilesOfAllFormats(t *testing.T) {
	from := t.TempDir()
	content := make([]byte, 4<<20)
	copy(content[1<<20:], "in the middle")
	copy(content[4<<20-5:], "end")
	holes, err := os.Create(from + "/holes")
	if err != nil {
		t.Fatal(err)
	}
	defer holes.Close()
	for at, piece := range map[int64]string{1 << 20: "in the middle", 4<<20 - 5: "end\x00\x00"} {
		if _, err := holes.WriteAt([]byte(piece), at); err != nil {
			t.Fatal(err)
		}
	}
	for name, args := range map[string][]string{
		"old": {"--format=gnu"},
		"0.0": {"--format=posix", "--sparse-version=0.0"},
		"0.1": {"--format=posix", "--sparse-version=0.1"},
		"1.0": {"--format=posix", "--sparse-version=1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			stream := gnuTar(t, from, nil, append(args, "--create", "--sparse", "--numeric-owner", "holes")...)
			if len(stream) > 1<<20 {
				t.Fatal("tar has not found the holes")
			}
			to := t.TempDir()
			if _, err := archive.Unpack(t.Context(), to, tar.NewReader(bytes.NewReader(stream)), modest(archive.UnpackOptions{})); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(to + "/holes")
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("content is another one, %v", err)
			}
			var stat unix.Stat_t
			if err := unix.Stat(to+"/holes", &stat); err != nil || stat.Blocks*512 > 1<<20 {
				t.Errorf("%d blocks are used, %v", stat.Blocks, err)
			}
		})
	}
}
