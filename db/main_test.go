package db_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"testing"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/internal/testutil"
)

func TestMain(m *testing.M) {
	testutil.Main(m, testutil.Entries{
		"reader":  holdReading,
		"writer":  holdWriting,
		"foreign": holdWithBolt,
		"count":   count,
		"stress":  stress,
		"creator": creator,
		"compact": compactForEver,
		"shrink":  shrinkForEver,
		"queue":   holdReadingWhenTold,
		"nobody":  readAsNobody,

		"several-update": updateSeveral,
		"several-work":   workOnSeveral,
		"several-watch":  watchSeveral,
	})
}

// hold says that something is held, and lets go of it when its input ends.
func hold() error {
	fmt.Fprintln(os.Stdout, "held")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// holdReading is a transaction that reads the database in args[0].
func holdReading(ctx context.Context, args []string) error {
	database, err := db.Open(ctx, args[0], db.Options{})
	if err != nil {
		return err
	}
	defer database.Close()
	return database.View(ctx, func(*db.ReadTx) error { return hold() })
}

// holdReadingWhenTold opens the database in args[0], and begins to read when a
// byte is sent to it.
func holdReadingWhenTold(ctx context.Context, args []string) error {
	database, err := db.Open(ctx, args[0], db.Options{})
	if err != nil {
		return err
	}
	defer database.Close()
	fmt.Fprintln(os.Stdout, "open")
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		return err
	}
	return database.View(ctx, func(*db.ReadTx) error { return hold() })
}

// holdWriting is a transaction that writes to the database in args[0].
func holdWriting(ctx context.Context, args []string) error {
	database, err := db.Open(ctx, args[0], db.Options{})
	if err != nil {
		return err
	}
	defer database.Close()
	return database.Update(ctx, func(tx *db.Tx) error {
		if err := createLayer("held")(tx); err != nil {
			return err
		}
		return hold()
	})
}

// holdWithBolt is a program that uses the file args[0] and knows nothing of us.
func holdWithBolt(_ context.Context, args []string) error {
	file, err := bolt.Open(args[0], 0, nil)
	if err != nil {
		return err
	}
	defer file.Close()
	return hold()
}

// readAsNobody says how many layers there are in args[0], for a user who may
// read everything and write nothing.
func readAsNobody(ctx context.Context, args []string) error {
	const nobody = 65534
	if err := errors.Join(unix.Setgroups(nil), unix.Setresgid(nobody, nobody, nobody), unix.Setresuid(nobody, nobody, nobody)); err != nil {
		return err
	}
	if _, err := db.Open(ctx, args[0], db.Options{}); !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("opened for writing: %w", err)
	}
	database, err := db.Open(ctx, args[0], db.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer database.Close()
	return database.View(ctx, func(tx *db.ReadTx) error {
		layers, err := tx.Layers()
		fmt.Fprint(os.Stdout, len(layers))
		return err
	})
}

// holder is a process that holds something.
type holder struct {
	*exec.Cmd
	stdin io.WriteCloser
}

// startHolder runs an entry until it says that it holds what it is to hold.
func startHolder(t testing.TB, entry string, args ...string) *holder {
	t.Helper()
	h := &holder{Cmd: testutil.Child(t, entry, args...)}
	out, err := h.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if h.stdin, err = h.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("%s: %q %v", entry, line, err)
	}
	return h
}

// letGo ends the process in good order.
func (h *holder) letGo(t testing.TB) {
	t.Helper()
	_ = h.stdin.Close()
	if err := h.Wait(); err != nil {
		t.Fatal(err)
	}
}
