package tarsplit_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/internal/compress"
	"github.com/csdb/csdb/internal/testutil"
	"github.com/csdb/csdb/model"
	"github.com/csdb/csdb/tarsplit"
)

// source is what code that unpacks an archive needs of it: a Recorder takes the
// place of a *tar.Reader.
type source interface {
	Next() (*tar.Header, error)
	io.Reader
}

// checkReader returns the error of archive/tar for an archive, nil if it can
// be read to its end.
func checkReader(stream []byte) error {
	for r := tar.NewReader(bytes.NewReader(stream)); ; {
		hdr, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = readContent(hdr, r)
		}
		if err != nil {
			return err
		}
	}
}

func TestEveryArchiveIsReproduced(t *testing.T) {
	reproduced := 0
	for name, stream := range allArchives(t) {
		wantErr := checkReader(stream)
		if wantErr == nil {
			reproduced++
		}
		for how, consume := range map[string]func(*tar.Header, io.Reader) error{
			"read": readContent, "skipped": skipContent, "half read": readHalf,
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				split, _, err := record(bytes.NewReader(stream), consume)
				switch {
				case err != nil && wantErr != nil:
					if !errors.Is(err, wantErr) || !errors.Is(err, model.ErrInvalid) || !strings.Contains(err.Error(), wantErr.Error()) {
						t.Errorf("error %v, want %v", err, wantErr)
					}
					return
				case err != nil:
					t.Fatal(err)
				}
				got, err := replay(t, split, unpack(stream))
				if err != nil {
					t.Fatal(err)
				}
				wantSame(t, got, stream)
			})
		}
	}
	if reproduced < 60 {
		t.Errorf("only %d archives could be read", reproduced)
	}
}

func TestRecorderPassesWhatArchiveTarReads(t *testing.T) {
	for name, stream := range allArchives(t) {
		if checkReader(stream) != nil {
			continue
		}
		want := entriesOf(t, tar.NewReader(bytes.NewReader(stream)))
		got := entriesOf(t, tarsplit.NewRecorder(iotest.HalfReader(bytes.NewReader(stream)), io.Discard))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-archive/tar +recorder)\n%s", name, diff)
		}
	}
}

// entriesOf reads all entries of an archive.
func entriesOf(t *testing.T, r source) (entries []entry) {
	t.Helper()
	for {
		hdr, err := r.Next()
		if errors.Is(err, io.EOF) {
			return entries
		}
		if err != nil {
			t.Fatal(err)
		}
		var content strings.Builder
		if hdr.Size < tooLarge {
			if _, err := io.Copy(&content, r); err != nil {
				t.Fatal(err)
			}
		}
		entries = append(entries, entry{*hdr, content.String()})
	}
}

func TestRecorderRefusesTwoEntriesOfOneName(t *testing.T) {
	for _, pair := range [][2]string{
		{"a", "a"}, {"d/", "d"}, {"d", "./d"}, {"d/a", "d//a"}, {"d/a", "d/../d/a"}, {"a", "/a"}, {"a", "../a"}, {".", "./"},
	} {
		_, _, err := record(bytes.NewReader(withNames(t, pair[0], "between", pair[1])), readContent)
		want := fmt.Sprintf("duplicates of file paths not supported: %q", pair[1])
		if !errors.Is(err, model.ErrInvalid) || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q: error %v", pair, err)
		}
	}
	if _, _, err := record(bytes.NewReader(withNames(t, "a", "A", "a ", "a/a", "\xffa", ".wh.a")), readContent); err != nil {
		t.Error(err)
	}
}

// withNames returns an archive of directories and empty files.
func withNames(t *testing.T, names ...string) []byte {
	t.Helper()
	var entries []entry
	for _, name := range names {
		e := file(name, "")
		if strings.HasSuffix(name, "/") {
			e.Typeflag = tar.TypeDir
		}
		entries = append(entries, e)
	}
	return makeArchive(t, tar.FormatGNU, entries...)
}

func TestRecorderListsOwnersOnce(t *testing.T) {
	owned := func(name string, uid, gid int) entry {
		return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Uid: uid, Gid: gid}, ""}
	}
	stream := makeArchive(t, tar.FormatGNU,
		owned("a", 1000, 5), owned("b", 0, 0), owned("c", 1000, 0), owned("d", 1<<32-1, 100_000),
		owned("d2/.wh.x", 7, 7), owned(".wh..wh..opq", 8, 8), owned("wide", 1<<32, 1<<40), owned("negative", -1, -2),
	)
	_, recorder, err := record(bytes.NewReader(stream), skipContent)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint32{0, 1000, 1<<32 - 1}, recorder.UIDs()); diff != "" {
		t.Errorf("users (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]uint32{0, 5, 100_000}, recorder.GIDs()); diff != "" {
		t.Errorf("groups (-want +got)\n%s", diff)
	}
}

func TestRecorderReportsWhatIsNoArchive(t *testing.T) {
	for text, want := range map[string]error{
		strings.Repeat("this is a text and no archive. ", 100): tar.ErrHeader,
		"short": io.ErrUnexpectedEOF,
	} {
		_, _, err := record(strings.NewReader(text), readContent)
		if !errors.Is(err, want) || !errors.Is(err, model.ErrInvalid) || !strings.Contains(err.Error(), want.Error()) {
			t.Errorf("%.10q: error %v, want %v", text, err, want)
		}
	}
}

func TestRecorderReportsWhatIsNoArchiveInEveryCompression(t *testing.T) {
	for _, tool := range []string{"gzip", "bzip2", "xz", "zstd"} {
		t.Run(tool, func(t *testing.T) {
			testutil.NeedTool(t, tool)
			for text, want := range map[string]error{
				strings.Repeat("this is a text and no archive. ", 100): tar.ErrHeader,
				"short": io.ErrUnexpectedEOF,
			} {
				cmd := exec.CommandContext(t.Context(), tool, "-c")
				cmd.Stdin = strings.NewReader(text)
				stream, err := cmd.Output()
				if err != nil {
					t.Fatal(err)
				}
				r, kind, err := compress.NewReader(bytes.NewReader(stream))
				if err != nil || kind.String() != tool {
					t.Fatalf("kind %v, error %v", kind, err)
				}
				if _, _, err := record(r, readContent); !errors.Is(err, want) || !errors.Is(err, model.ErrInvalid) {
					t.Errorf("%.10q: error %v, want %v", text, err, want)
				}
			}
		})
	}
}

func TestRecorderReportsArchivesThatAreCutOff(t *testing.T) {
	stream := makeArchive(t, tar.FormatPAX, file("a", noise(700)), file(strings.Repeat("b", 200), noise(1024)))
	for size := range len(stream) {
		want := checkReader(stream[:size])
		split, _, err := record(bytes.NewReader(stream[:size]), readContent)
		if want == nil && err == nil { // between two entries, or in padding
			got, err := replay(t, split, unpack(stream[:size]))
			if err != nil {
				t.Fatalf("cut off at %d: %v", size, err)
			}
			wantSame(t, got, stream[:size])
			continue
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, model.ErrInvalid) || !strings.Contains(err.Error(), "unexpected EOF") {
			t.Fatalf("cut off at %d: error %v, archive/tar says %v", size, err, want)
		}
	}
}

func TestRecorderPassesReadErrorsUnchanged(t *testing.T) {
	stream := slices.Concat(makeArchive(t, tar.FormatPAX, file(".wh.a", noise(700)), file(strings.Repeat("b", 200), noise(1024))), zeros(4))
	for _, broken := range []error{errors.New("cable cut"), io.ErrUnexpectedEOF, tar.ErrHeader} {
		for _, consume := range []func(*tar.Header, io.Reader) error{readContent, skipContent} {
			for size := 0; size <= len(stream); size += 100 {
				r := io.MultiReader(bytes.NewReader(stream[:size]), iotest.ErrReader(broken))
				_, recorder, err := record(r, consume)
				if err != broken { //nolint:errorlint // unchanged is the point
					t.Fatalf("broken at %d: error %v, want %v", size, err, broken)
				}
				if _, err := recorder.Next(); !errors.Is(err, broken) {
					t.Fatalf("broken at %d: then error %v, want %v", size, err, broken)
				}
			}
		}
	}
}

func TestRecorderTellsTheEndFromAnErrorThatWrapsIt(t *testing.T) {
	stream := slices.Concat(makeArchive(t, tar.FormatPAX, file("a", noise(700)), file("b", "")), zeros(2))
	for size := 0; size <= len(stream); size += 128 {
		r := io.MultiReader(bytes.NewReader(stream[:size]), iotest.ErrReader(fmt.Errorf("connection: %w", io.EOF)))
		_, _, err := record(r, skipContent)
		if errors.Is(err, io.EOF) || !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, model.ErrInvalid) || !strings.Contains(err.Error(), "connection") {
			t.Fatalf("broken at %d: error %v", size, err)
		}
	}
}

// fullDisk takes a number of writes before it fails.
type fullDisk struct{ left int }

var errFull = errors.New("no space")

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.left--; d.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestRecorderReportsThatTheTarSplitCannotBeWritten(t *testing.T) {
	stream := slices.Concat(makeArchive(t, tar.FormatPAX, file("a", "a"), file(".wh.b", noise(3<<20)), file("c", "c")), zeros(2))
	const lines = 10 // three headers and files, two and a half full segments, the end
	for writes := range lines {
		recorder := tarsplit.NewRecorder(bytes.NewReader(stream), &fullDisk{left: writes})
		var err error
		for err == nil {
			_, err = recorder.Next()
		}
		if !errors.Is(err, errFull) || errors.Is(err, model.ErrInvalid) {
			t.Errorf("after %d writes: error %v", writes, err)
		}
	}
}

func TestRecorderStaysAtItsEnd(t *testing.T) {
	recorder := tarsplit.NewRecorder(bytes.NewReader(zeros(2)), io.Discard)
	for range 3 {
		if _, err := recorder.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("Next: %v", err)
		}
		if n, err := recorder.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("Read: %d, %v", n, err)
		}
	}
}

func TestRecorderReadsNamesThatLeadOutWhateverTheEnvironment(t *testing.T) {
	t.Setenv("GODEBUG", "tarinsecurepath=0")
	stream := makeArchive(t, tar.FormatPAX, file("../../etc/passwd", "root"), file("/x", "y"))
	split, _, err := record(bytes.NewReader(stream), readContent)
	if err != nil {
		t.Fatal(err)
	}
	got, err := replay(t, split, files{"../../etc/passwd": []byte("root"), "/x": []byte("y")})
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, got, stream)
}

func TestSegmentsAreAtMostOneMebibyte(t *testing.T) {
	stream := slices.Concat(makeArchive(t, tar.FormatPAX, file(".wh.a", noise(5<<20))), zeros(3000), []byte(noise(1<<20)))
	count := 0
	for entry, err := range tarsplit.Read(bytes.NewReader(mustRecord(t, stream))) {
		if err != nil {
			t.Fatal(err)
		}
		if len(entry.Segment) > 1<<20 {
			t.Errorf("segment of %d bytes", len(entry.Segment))
		}
		count++
	}
	if count < 8 {
		t.Errorf("only %d records", count)
	}
}
