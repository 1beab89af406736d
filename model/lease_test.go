package model_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/csdb/csdb/model"
)

func TestValidateLeaseID(t *testing.T) {
	for id, valid := range map[string]bool{
		model.NewLeaseID(): true, "a": true, "0": true, "pull-of.app_1": true, strings.Repeat("x", model.MaxLeaseIDLength): true,
		"": false, strings.Repeat("x", model.MaxLeaseIDLength+1): false, ".": false, "..": false, ".a": false, "-a": false, "_a": false,
		"a/b": false, "a b": false, "a\n": false, "a:b": false, "$(a)": false, "ä": false, "a\x00": false, "a\xff": false, "a~": false,
	} {
		if err := model.ValidateLeaseID(id); (err == nil) != valid || err != nil && !errors.Is(err, model.ErrInvalid) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestGeneratedLeaseIDsDiffer(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		seen[model.NewLeaseID()] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d different ones of 1000", len(seen))
	}
}
