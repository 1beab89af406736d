package main

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/model"
)

func TestParseTriples(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		want []model.IDMap
	}{
		{"", nil},
		{"0:1000:10", []model.IDMap{{HostID: 1000, Size: 10}}},
		{"0:1000:10:10:5000:1", []model.IDMap{{HostID: 1000, Size: 10}, {ContainerID: 10, HostID: 5000, Size: 1}}},
		{"4294967295:0:4294967295", []model.IDMap{{ContainerID: 1<<32 - 1, Size: 1<<32 - 1}}},
	} {
		if got, err := parseTriples(test.text); err != nil || !cmp.Equal(got, test.want) {
			t.Errorf("parseTriples(%q) = %v, %v; want %v", test.text, got, err, test.want)
		}
	}
	for _, text := range []string{"1", "1:2", "1:2:3:4", ":", "::", "a:b:c", "0:-1:5", "0:0:4294967296", "0:0:1:", " 0:0:1", "0:0:+1"} {
		if got, err := parseTriples(text); !errors.Is(err, model.ErrInvalidMappings) {
			t.Errorf("parseTriples(%q) = %v, %v; want an error", text, got, err)
		}
	}
}

func TestMappingsOtherThanTheHostsAreRefused(t *testing.T) {
	t.Parallel()
	etc := t.TempDir()
	writeFile(t, filepath.Join(etc, "subuid"), "alice:100000:65536\nuser:100000:65536\nall:0:4294967295\n")
	writeFile(t, filepath.Join(etc, "subgid"), "alice:100000:65536\ngroup:200000:65536\nall:0:4294967295\n")
	for _, test := range []struct {
		name     string
		uid, gid side
		want     string // "" for none
	}{
		{"none", side{}, side{}, ""},
		{"host", side{host: true}, side{host: true}, ""},
		{"all IDs as they are", side{triples: "0:0:4294967295"}, side{}, ""},
		{"all IDs of somebody as they are", side{sub: "all"}, side{}, ""},
		{"some IDs as they are", side{triples: "0:0:65536"}, side{}, "uid mapping other than the host's: not supported"},
		{"other IDs", side{}, side{triples: "0:1000:1"}, "gid mapping other than the host's: not supported"},
		{"sub-IDs of one name for both", side{sub: "alice"}, side{}, "uid mapping other than the host's: not supported\ngid mapping other than the host's: not supported"},
		{"sub-IDs of the group for both", side{}, side{sub: "alice"}, "uid mapping other than the host's: not supported\ngid mapping other than the host's: not supported"},
		{"sub-IDs of two names", side{sub: "user"}, side{sub: "group"}, "uid mapping other than the host's: not supported\ngid mapping other than the host's: not supported"},
		{"sub-IDs of a user who is no group", side{sub: "user"}, side{}, "no ranges for \"user\""},
		{"sub-IDs and others", side{sub: "alice", triples: "0:5:1"}, side{host: true}, "range 0:5:1 overlaps with 0:100000:65536"},
		{"host and others", side{host: true, triples: "0:0:1"}, side{}, "--hostuidmap: invalid: it cannot be combined"},
		{"host and sub-IDs", side{}, side{host: true, sub: "alice"}, "--hostgidmap: invalid: it cannot be combined"},
	} {
		m := mapping{uid: test.uid, gid: test.gid, etc: etc}
		got := ""
		if err := m.check(); err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, test.want) || (test.want == "") != (got == "") {
			t.Errorf("%s: error %q, want %q", test.name, got, test.want)
		}
	}
}
