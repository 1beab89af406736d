package testutil_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/csdb/csdb/internal/testutil"
)

func TestMain(m *testing.M) {
	testutil.Main(m, testutil.Entries{
		"echo":      echo,
		"fail":      func(context.Context, []string) error { return errors.New("as it was told") },
		"sleep":     func(context.Context, []string) error { time.Sleep(time.Hour); return nil },
		"mount":     mountAndWait,
		"need-root": needRoot,
		"odd-tree":  oddTree,
	})
}

// echo prints its arguments, and then what it reads.
func echo(_ context.Context, args []string) error {
	fmt.Fprintln(os.Stdout, strings.Join(args, "|"))
	_, err := io.Copy(os.Stdout, os.Stdin)
	return err
}

// mountAndWait mounts a file system, prints where, and waits to be killed.
func mountAndWait(ctx context.Context, _ []string) error {
	dir, err := testutil.MountUntilKilled(ctx, "ext4")
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, dir)
	time.Sleep(time.Hour)
	return nil
}

// needRoot prints why a test that needs root would skip.
func needRoot(ctx context.Context, _ []string) error {
	r := record(ctx, func(t testing.TB) { testutil.NeedRoot(t) })
	fmt.Fprint(os.Stdout, r.skips, r.failures)
	return nil
}

// oddTree makes an odd tree in the folder that it is given.
func oddTree(ctx context.Context, args []string) error {
	r := record(ctx, func(t testing.TB) { testutil.OddTree(t, args[0]) })
	if len(r.failures) > 0 {
		return errors.New(strings.Join(r.failures, "; "))
	}
	return nil
}
