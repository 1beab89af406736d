package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

func TestLeaseGetsAnIDThatEndsIt(t *testing.T) {
	s := newSample(t)
	seen := make(map[string]bool)
	for range 2 {
		r := s.csdb(t, "lease", "add", "tool:2")
		id, newline := strings.CutSuffix(r.stdout, "\n")
		if r.status != exitOK || !newline || model.ValidateLeaseID(id) != nil || seen[id] {
			t.Fatalf("got %+v", r)
		}
		seen[id] = true
		if r := s.csdb(t, "lease", "remove", id); r != (result{}) {
			t.Errorf("got %+v", r)
		}
	}
	var list []listedLease
	r := s.csdb(t, "lease", "list", "--json")
	if err := json.Unmarshal([]byte(r.stdout), &list); err != nil || list == nil || len(list) > 0 {
		t.Errorf("left: %+v", r)
	}
}

// A copy of a store has no run root, and so no leases.
func TestLeasesAreUnknownWithoutTheRunRoot(t *testing.T) {
	s := newSample(t)
	store := s.open(t)
	_, err := store.AddLease(t.Context(), graph.LeaseSpec{ID: "a-copy-has-none", Objects: []model.ID{toolImage}, For: graph.MaxLease})
	must(t, err)
	must(t, store.Close())
	for root, want := range map[string]bool{s.runRoot: true, t.TempDir(): false, "/nowhere": false} {
		for command, sign := range map[string]string{
			"lease list": "a-copy-has-none", "info": "Leases:", "refs tool:2": "a-copy-has-none", "inspect tool:2": "a-copy-has-none",
		} {
			r := csdb(t, append([]string{"--root", s.root, "--runroot", root}, strings.Fields(command)...)...)
			if r.status != exitOK || strings.Contains(r.stdout, sign) != want {
				t.Errorf("%s with %s: %+v", command, root, r)
			}
		}
	}
}
