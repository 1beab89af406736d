package fsck

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func TestErrorsOfTheDiskAreFindings(t *testing.T) {
	for _, test := range []struct {
		err     error
		finding bool
	}{
		{unix.EIO, true},
		{unix.EUCLEAN, true},
		{unix.EBADMSG, true},
		{unix.ESTALE, true},
		{unix.EACCES, false},
		{unix.EMFILE, false},
		{unix.ENOMEM, false},
	} {
		c := newChecker(Options{Root: "/"})
		err := c.unreadable(Finding{Realm: InRoot, Place: "place"}, fmt.Errorf("lstat: %w", test.err))
		if found := c.report.has(CodeUnreadable); found != test.finding || errors.Is(err, test.err) == found {
			t.Errorf("%v: finding %t, error %v", test.err, found, err)
		}
	}
}

func TestListsOfWhatSuffersAreBounded(t *testing.T) {
	u := &users{budget: maxEffort}
	many := make(map[string]bool)
	for i := range maxAffected + 1 {
		many[fmt.Sprint(i)] = true
	}
	var f Finding
	if got := u.list(&f, "image", many); len(got) != maxAffected || !f.More {
		t.Errorf("%d listed, more: %t", len(got), f.More)
	}
	u.budget = 10
	f = Finding{}
	if got := u.list(&f, "image", many); len(got) != 10 || !f.More {
		t.Errorf("%d listed, more: %t", len(got), f.More)
	}
}
