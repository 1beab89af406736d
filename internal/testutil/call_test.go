package testutil_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/csdb/csdb/internal/testutil"
)

func TestEventuallyEndsTheTestOnlyIfNothingComes(t *testing.T) {
	for _, test := range []struct {
		at    int // look at which it has come
		fails bool
	}{{1, false}, {5000, false}, {1 << 62, true}} {
		synctest.Test(t, func(t *testing.T) {
			looks := 0
			r := record(t.Context(), func(t testing.TB) {
				testutil.Eventually(t, "it comes", func() bool { looks++; return looks >= test.at })
			})
			if failed := len(r.failures) > 0; failed != test.fails || !failed && looks != test.at {
				t.Errorf("at look %d: %d looks, failures %q", test.at, looks, r.failures)
			}
		})
	}
}

// waitForEnd blocks until a context ends.
func waitForEnd(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestGiveUpEndsACallThatWaits(t *testing.T) {
	began := false
	err := testutil.GiveUp(t, "testutil_test.waitForEnd", func(ctx context.Context) error {
		began = ctx.Err() == nil
		return waitForEnd(ctx)
	})
	if !errors.Is(err, context.DeadlineExceeded) || !began {
		t.Errorf("got %v, had begun %t", err, began)
	}
}

func TestGiveUpFailsTheTestIfTheCallDoesNotWait(t *testing.T) {
	r := record(t.Context(), func(t testing.TB) {
		_ = testutil.GiveUp(t, "waitForEnd", func(context.Context) error { return nil })
		t.Errorf("the test goes on")
	})
	if len(r.failures) != 1 {
		t.Errorf("failures %q", r.failures)
	}
}

func TestCallIsNotTakenForOneThatWaitsElsewhere(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	other := testutil.Start(func() error { return waitForEnd(ctx) })
	other.AwaitWait(t, "waitForEnd")
	elsewhere := make(chan struct{})
	r := record(t.Context(), func(t testing.TB) {
		c := testutil.Start(func() error { <-elsewhere; return nil })
		c.AwaitWait(t, "TestCallIsNotTakenForOneThatWaitsElsewhere")
		close(elsewhere)
		c.AwaitWait(t, "waitForEnd")
	})
	if len(r.failures) != 1 {
		t.Errorf("failures %q", r.failures)
	}
	cancel()
	if err := other.Result(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
