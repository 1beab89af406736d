package cli_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/csdb/csdb/internal/cli"
)

func TestOpenInputKnowsTheSizeOfFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	partly, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer partly.Close()
	if _, err := partly.Seek(4, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, path string
		stdin      io.Reader
		size       int64
		text       string
	}{
		{"file", path, nil, 10, "0123456789"},
		{"standard input that is a file", "", partly, 6, "456789"},
		{"other standard input", "", strings.NewReader("abc"), cli.SizeUnknown, "abc"},
		{"what is no regular file", os.DevNull, nil, cli.SizeUnknown, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			in, err := cli.Env{Stdin: test.stdin}.OpenInput(t.Context(), test.path)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(in)
			if string(text) != test.text || in.Size != test.size {
				t.Errorf("got %q, size %d, %v; want %q, size %d", text, in.Size, err, test.text, test.size)
			}
			if err := errors.Join(err, in.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOpenInputFailsWithoutFile(t *testing.T) {
	if _, err := (cli.Env{}).OpenInput(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want one that says that there is no file", err)
	}
}

func TestInputEndsWithTheContext(t *testing.T) {
	r, w, err := os.Pipe() // nobody ever writes to it
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	defer r.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	in, err := cli.Env{Stdin: r}.OpenInput(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	cancel(stop)
	if n, err := in.Read(make([]byte, 1)); n != 0 || !errors.Is(err, stop) {
		t.Errorf("Read = %d, %v; want the error %v", n, err, stop)
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
}
