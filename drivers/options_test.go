package drivers_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/model"
)

func TestParseOptionsAcceptsEverySpelling(t *testing.T) {
	overlay := []string{"overlay.", "overlay2.", ".", ""}
	for _, test := range []struct {
		name     string
		prefixes []string
		options  []string
		want     map[string]string
	}{
		{"none", overlay, nil, map[string]string{}},
		{"full name", overlay, []string{"overlay.mountopt=nodev"}, map[string]string{"mountopt": "nodev"}},
		{"old name", overlay, []string{"overlay2.mountopt=nodev"}, map[string]string{"mountopt": "nodev"}},
		{"empty name", overlay, []string{".mountopt=nodev"}, map[string]string{"mountopt": "nodev"}},
		{"no name", overlay, []string{"mountopt=nodev"}, map[string]string{"mountopt": "nodev"}},
		{"capitals and blanks", overlay, []string{"  Overlay.MountOpt\t=  noDev "}, map[string]string{"mountopt": "noDev"}},
		{"first equals sign", overlay, []string{".mountopt=a=b,c=d"}, map[string]string{"mountopt": "a=b,c=d"}},
		{"empty value", overlay, []string{".mountopt="}, map[string]string{"mountopt": ""}},
		{"the last counts", overlay, []string{".a=1", "overlay.a=2", "b=3", "overlay2.a=4"}, map[string]string{"a": "4", "b": "3"}},
		{"another driver's", overlay, []string{"zfs.a=1"}, map[string]string{"zfs.a": "1"}},
		{"no bare keys", []string{"vfs.", "."}, []string{"vfs.a=1", ".b=2"}, map[string]string{"a": "1", "b": "2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := drivers.ParseOptions(test.options, test.prefixes...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("want (-), got (+):\n%s", diff)
			}
		})
	}
}

func TestParseOptionsNamesEveryOptionThatIsWrong(t *testing.T) {
	_, err := drivers.ParseOptions([]string{"vfs.a=1", "no equals sign", "zfs.b=1", "bare=1", "", "=x", ".=x", "vfs.=x"}, "vfs.", ".")
	if !errors.Is(err, model.ErrInvalid) {
		t.Fatalf("got %v, want ErrInvalid", err)
	}
	for _, option := range []string{"no equals sign", "zfs.b=1", "bare=1", `""`, `"=x"`, `".=x"`, `"vfs.=x"`} {
		if !strings.Contains(fmt.Sprint(err), option) {
			t.Errorf("%q does not mention %s", err, option)
		}
	}
	if strings.Contains(fmt.Sprint(err), "vfs.a") {
		t.Errorf("%q mentions an option that is right", err)
	}
}

func TestParseBoolRefusesOtherWords(t *testing.T) {
	for value, want := range map[string]bool{"true": true, "1": true, "TRUE": true, "false": false, "0": false} {
		if got, err := drivers.ParseBool("key", value); err != nil || got != want {
			t.Errorf("%q: got %v, %v", value, got, err)
		}
	}
	for _, value := range []string{"", "yes", "2", "true "} {
		if _, err := drivers.ParseBool("key", value); !errors.Is(err, model.ErrInvalid) {
			t.Errorf("%q: got %v, want ErrInvalid", value, err)
		}
	}
}
