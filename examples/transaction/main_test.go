package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestPullIsAllOrNothing(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out, []string{t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	refused, done, found := strings.Cut(out.String(), "second pull")
	if !found {
		t.Fatalf("there was no second pull:\n%s", out.String())
	}
	if !strings.Contains(refused, "0 layers, 0 images") {
		t.Errorf("the refused pull has left something:\n%s", refused)
	}
	if !strings.Contains(done, "2 layers, 1 images") || !strings.Contains(done, "app:2, pulled from registry.example.com") {
		t.Errorf("the second pull is not whole:\n%s", done)
	}
}
