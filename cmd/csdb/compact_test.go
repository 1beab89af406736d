package main

import (
	"encoding/json"
	"testing"

	"github.com/csdb/csdb/graph"
)

func (s *sample) compact(t testing.TB, args ...string) (v compaction) {
	t.Helper()
	r := s.csdb(t, append([]string{"compact", "--json"}, args...)...)
	if r.status != exitOK {
		t.Fatalf("compact: %+v", r)
	}
	must(t, json.Unmarshal([]byte(r.stdout), &v))
	return v
}

func TestCompactGivesBackWhatIsFree(t *testing.T) {
	s := newSample(t)
	if v := s.compact(t, "--if-free", "60"); v.Done {
		t.Errorf("hardly anything is free, but %+v", v)
	}
	store := s.open(t)
	defer store.Close()
	// A program that has the store open goes on.
	for _, size := range []int{4 << 20, 1} {
		must(t, store.Update(t.Context(), func(tx *graph.Tx) error {
			return tx.Bucket("com.example.large").Put([]byte("key"), make([]byte, size))
		}))
	}
	v := s.compact(t, "--if-free", "60")
	if !v.Done || v.After.Size >= v.Before.Size || v.After.TxID <= v.Before.TxID {
		t.Errorf("got %+v", v)
	}
	if _, err := store.Image(t.Context(), "tool:2"); err != nil {
		t.Error(err)
	}
	_, err := store.CreateLayer(t.Context(), graph.LayerSpec{ID: "after"})
	must(t, err)
	if r := s.csdb(t, "fsck"); r.status != exitOK {
		t.Errorf("fsck: %+v", r)
	}
}
