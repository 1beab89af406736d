package testutil_test

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/internal/testutil"
)

func TestDebootstrapIsTheRootOfASystem(t *testing.T) {
	file, err := os.Open(testutil.Debootstrap(t))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	missing := map[string]byte{ // names by their types
		"./":            tar.TypeDir,
		"./usr/bin/apt": tar.TypeReg,
		"./bin":         tar.TypeSymlink,
		"./etc/passwd":  tar.TypeReg,
		"./dev/null":    tar.TypeChar,
	}
	entries := 0
	for archive := tar.NewReader(file); ; entries++ {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if missing[header.Name] == header.Typeflag {
			delete(missing, header.Name)
		}
	}
	if len(missing) > 0 || entries < 5000 {
		t.Errorf("%d entries, without %q", entries, missing)
	}
}

func TestMirrorThatDoesNotHaveTheReleaseIsNoAnswer(t *testing.T) {
	statuses := map[string]int{"/good/dists/bookworm/InRelease": http.StatusOK, "/broken/dists/bookworm/InRelease": http.StatusBadGateway}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := statuses[r.URL.Path]
		if status == 0 {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for url, want := range map[string]error{
		server.URL + "/good":   nil,
		server.URL + "/broken": testutil.ErrNoMirror,
		server.URL + "/empty":  testutil.ErrNoMirror,
		gone.URL:               testutil.ErrNoMirror,
	} {
		if err := testutil.AskMirror(t.Context(), url); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", url, err, want)
		}
	}
}

func TestCachedFileIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache", "file")
	var made atomic.Int32
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			got, err := testutil.Cached(t.Context(), path, func(_ context.Context, unfinished string) error {
				if _, err := os.Lstat(path); err == nil {
					t.Error("made although it is there")
				}
				made.Add(1)
				time.Sleep(200 * time.Millisecond) // for the others to come and wait
				return os.WriteFile(unfinished, []byte("made"), 0o600)
			})
			if got != path || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	wg.Wait()
	if n := made.Load(); n != 1 {
		t.Errorf("made %d times", n)
	}
	if content, err := os.ReadFile(path); string(content) != "made" {
		t.Errorf("holds %q, %v", content, err)
	}
}

func TestCachedFileThatCouldNotBeMadeIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	broken := errors.New("broken")
	_, err := testutil.Cached(t.Context(), path, func(_ context.Context, unfinished string) error {
		return errors.Join(broken, os.WriteFile(unfinished, []byte("half"), 0o600))
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("a file that could not be made is there")
	}
	_, err = testutil.Cached(t.Context(), path, func(_ context.Context, unfinished string) error {
		return os.WriteFile(unfinished, []byte("whole"), 0o600)
	})
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"file", "file.lock"}, names(t, dir)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWaitingForACachedFileEndsWithTheContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	_, err := testutil.Cached(t.Context(), path, func(ctx context.Context, _ string) error {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		_, err := testutil.Cached(ctx, path, nil)
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
