//go:build crashtest

package graph_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/csdb/csdb/model"
)

// worker is a process that works until it is killed, and what is known of the
// things that it works on: nobody else changes them.
type worker struct {
	name  string
	agent *remote
	known map[string]string // what each thing is
	at    change            // what it was told last, and has not answered
	done  int
	// pulled says that it has pulled the image that all of them pull.
	pulled bool
}

// change is something that a worker does to one of its things.
type change struct {
	o     op
	thing string
	to    string // what it is afterwards
	or    string // what it may be in between
}

// What a thing may be; a layer may have the digest of its diff too, a data item
// its text.
const (
	absent     = ""
	whole      = "whole"
	halfDone   = "half done"
	notMounted = "mounted 0"
)

// shared is the image of which all containers are, and to which each worker gives
// a data item.
const shared = "image"

// pullAtOnce is what all workers do with the same image.
const pullAtOnce = "pull at once"

// things are those that a worker works on.
func (w *worker) things() []string {
	return []string{"layer " + w.name + "a", "layer " + w.name + "b", "image " + w.name, "container " + w.name, "data " + w.name}
}

// next chooses what to do.
func (w *worker) next(t testing.TB) change {
	t.Helper()
	if rand.N(6) == 0 {
		return change{o: op{Do: "recover"}}
	}
	if rand.N(6) == 0 {
		return change{o: op{Do: pullAtOnce}}
	}
	thing := w.things()[rand.N(len(w.things()))]
	kind, id, _ := strings.Cut(thing, " ")
	switch is := w.known[thing]; kind {
	case "layer":
		return nextOfLayer(t, thing, id, is)
	case "image":
		if is == absent {
			return change{op{Do: "publish", ID: id, Parent: "base", Names: []string{id}}, thing, whole, ""}
		}
		return change{op{Do: "delete", Kind: model.KindImage, ID: id}, thing, absent, ""}
	case "container":
		return nextOfContainer(thing, id, is)
	default:
		if is != absent && rand.N(3) == 0 {
			return change{op{Do: "delete-data", Kind: model.KindImage, ID: shared, Key: id}, thing, absent, ""}
		}
		text := fmt.Sprint(rand.Uint64())
		return change{setData(model.KindImage, shared, id, text), thing, text, ""}
	}
}

// nextOfLayer chooses what to do with a layer. A diff that is applied to one
// with content may remain applied by halves.
func nextOfLayer(t testing.TB, thing, id, is string) change {
	t.Helper()
	diff := tarball(t, file("a", strings.Repeat(fmt.Sprint(rand.Uint64()), 1000)))
	sum := string(sha256Of(diff))
	switch {
	case is == absent:
		return change{op{Do: "import", ID: id, Parent: "base", Data: diff}, thing, sum, ""}
	case rand.N(3) == 0:
		return change{op{Do: "apply", ID: id, Data: diff}, thing, sum, halfDone}
	default:
		return change{op{Do: "delete", Kind: model.KindLayer, ID: id}, thing, absent, ""}
	}
}

// nextOfContainer chooses what to do with a container.
func nextOfContainer(thing, id, is string) change {
	if is == absent {
		return change{op{Do: "create", Kind: model.KindContainer, ID: id, Parent: shared}, thing, notMounted, ""}
	}
	mounts := 0
	_, _ = fmt.Sscanf(is, "mounted %d", &mounts)
	switch {
	case rand.N(4) == 0:
		return change{op{Do: "delete", Kind: model.KindContainer, ID: id}, thing, absent, ""}
	case mounts == 0 || mounts < 3 && rand.N(2) == 0:
		return change{op{Do: "mount", ID: id}, thing, fmt.Sprint("mounted ", mounts+1), ""}
	default:
		return change{op{Do: "unmount", ID: id}, thing, fmt.Sprint("mounted ", mounts-1), ""}
	}
}

// work lets the worker work until its process dies. It returns an error if
// something else went wrong.
func (w *worker) work(t testing.TB) error {
	for {
		w.at = w.next(t)
		r := w.agent.perform(t.Context(), w.at.o)
		if r.Err == noAnswer {
			return nil
		}
		if r.Err != "" {
			return fmt.Errorf("%s %s %s: %s", w.name, w.at.o.Do, w.at.o.ID, r.Text)
		}
		w.done++
		if w.at.thing != "" {
			w.known[w.at.thing] = w.at.to
		}
		w.pulled = w.pulled || w.at.o.Do == pullAtOnce
		w.at = change{}
	}
}

// look compares the things of the worker with what is seen after its death. It
// takes them out of what is seen, and from then on knows what they are.
func (w *worker) look(t testing.TB, seen state) {
	t.Helper()
	for _, thing := range w.things() {
		is, was := seen.take(thing), w.known[thing]
		expected := is == was
		if w.at.thing == thing {
			expected = expected || is == w.at.to || w.at.or != "" && is == w.at.or
		}
		if !expected {
			t.Errorf("%s is %q, it was %q; interrupted was %s of %s to %q", thing, is, was, w.at.o.Do, w.at.thing, w.at.to)
		}
		w.known[thing] = is
	}
	w.at = change{}
}

// take tells what a thing is, and takes it out of what is seen.
func (seen state) take(thing string) (is string) {
	kind, id, _ := strings.Cut(thing, " ")
	switch kind {
	case "layer":
		is = seen["diff of "+id]
		if strings.HasSuffix(seen[thing], incomplete) {
			is = halfDone
		}
		seen.forget("layer", id)
	case "image":
		is = seen.takeImage(id)
	case "container":
		layer := string(containerLayer(id))
		is = absent
		if seen[thing] != "" {
			is = "mounted " + max("0", seen["mounts of "+layer])
			seen.forget("layer", layer)
		}
		seen.forget("container", id)
	default:
		key := fmt.Sprintf("data %q of image %s", id, shared)
		is = seen[key]
		delete(seen, key)
	}
	return is
}

// takeImage is take for an image that was published: it is there with all that
// belongs to it, or nothing of it is.
func (seen state) takeImage(id string) string {
	parts := []string{
		"image " + id, `data "config" of image ` + id, `data "manifest" of image ` + id,
		"diff of " + id + "-0", "diff of " + id + "-1", "diff of " + id + "-2",
	}
	there := 0
	for _, part := range parts {
		if seen[part] != "" {
			there++
		}
	}
	seen.forget("image", id)
	for i := range 3 {
		seen.forget("layer", fmt.Sprintf("%s-%d", id, i))
	}
	switch there {
	case 0:
		return absent
	case len(parts):
		return whole
	}
	return fmt.Sprintf("%d of %d parts", there, len(parts))
}

// forget takes an object out of what is seen.
func (seen state) forget(kind, id string) {
	maps.DeleteFunc(seen, func(key, _ string) bool {
		return key == kind+" "+id || strings.HasSuffix(key, " of "+kind+" "+id) ||
			kind == "layer" && strings.HasSuffix(key, "s of "+id) || kind == "layer" && key == "diff of "+id ||
			key == "embedder's "+id
	})
}
