package main

import "testing"

func TestScriptMakesLayersThatOnlyTheDriverKnows(t *testing.T) {
	t.Parallel()
	forEachDriver(t, func(t *testing.T, s script) {
		layer := s.line(t, "create-layer")
		lone := s.line(t, "create-storage-layer")
		above := s.line(t, "create-storage-layer", lone)
		s.wantLines(t, []string{layer, lone, above}, "storage-layers")
		s.wantOutput(t, layer+"\n", "layers")
		s.wantFailure(t, "layer not known", "mount", lone)
		s.wantOutput(t, "", "gc")
		s.wantOutput(t, layer+"\n", "storage-layers")
	})
}
