package main

import (
	"context"
	"fmt"
	"slices"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

type refs struct{ kind string }

func (p *program) refsCommand() *urfave.Command {
	o := &refs{}
	return p.command(urfave.Command{
		Name: "refs", Usage: "show what uses an object, and what it keeps from being deleted", ArgsUsage: "REF",
		Description: `
Shows everything that uses an object: what lies directly on it, and the images
and containers that need it because of that. Then it shows what the object
itself keeps: its data items and its layers, and which of them nothing else
needs. The end says whether the object can be deleted; if not, what stands in
the way, leases and other stores included, and if so, which layers go with it and how much that
frees.

A REF is an ID, the beginning of one, or a name; layers are tried first, then
images, then containers.

Examples:

  csdb refs docker.io/library/app:1
  csdb refs --kind layer 1a7e02
  csdb refs --json base-layer | jq -r '."used-by"[] | select(.blocks) | .id'`,
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "kind", Usage: "`KIND` of the object: layer, image or container", Destination: &o.kind},
		},
	}, arity{1, 1}, o)
}

// references is what uses an object, and what it uses. Sizes are in bytes.
type references struct {
	brief
	UsedBy []user `json:"used-by"`
	Keeps  kept   `json:"keeps"`
	// Mount is missing if nothing is mounted, as far as the run root tells.
	Mount *mountState `json:"mount,omitempty"`
	// Leases are those that keep the object, or a container's own layer, from
	// being deleted.
	Leases []graph.Lease `json:"leases"`
	// Holds are those of other stores that need the object.
	Holds    []db.Hold `json:"holds"`
	Deletion deletion  `json:"deletion"`
}

// brief names an object.
type brief struct {
	Kind  model.Kind `json:"kind"`
	ID    string     `json:"id"`
	Names []string   `json:"names"`
}

// user is what uses an object.
type user struct {
	brief
	// As says what the object is to it: its "parent", "top-layer",
	// "mapped-layer", "own-layer" or "image".
	As string `json:"as"`
	// Via is the layer of which the user makes this use. It lies on the object,
	// or is the object itself.
	Via model.LayerID `json:"via,omitempty"`
	// Blocks tells that the object cannot be deleted before this user.
	Blocks bool `json:"blocks"`
}

// kept is what an object keeps in the store.
type kept struct {
	Image  *brief     `json:"image,omitempty"` // of a container
	Layers []keptItem `json:"layers"`          // one before its parent
	Data   []keptItem `json:"data"`
}

// keptItem is a layer or a data item.
type keptItem struct {
	ID    string   `json:"id,omitempty"`
	Names []string `json:"names,omitempty"`
	Key   string   `json:"key,omitempty"`
	Size  int64    `json:"size"` // or model.SizeUnknown
	// Shared tells that something else needs it too.
	Shared bool `json:"shared"`
	// Leased tells that it is a layer which stays because of a lease.
	Leased bool `json:"leased,omitempty"`
}

// deletion says what a deletion would do.
type deletion struct {
	Possible bool `json:"possible"`
	// Layers go together with the object, and Frees is what all that takes, as
	// far as it is known.
	Layers []model.LayerID `json:"layers"`
	Frees  int64           `json:"frees"`
}

func (o *refs) run(ctx context.Context, s *session, args []string) error {
	kinds, err := kindsNamed("refs", o.kind)
	if err != nil {
		return err
	}
	var about *references
	var damaged damages
	err = s.with(ctx, func(store *graph.Store) error {
		wait, cancel := s.waiting(ctx)
		defer cancel()
		var layer model.LayerID
		leased, _, err := s.leases(ctx, store)
		if err := damaged.note(err); err != nil {
			return err
		}
		err = store.View(wait, func(tx *graph.ReadTx) error {
			id, err := tx.Find(args[0], kinds...)
			if err != nil {
				return err
			}
			v := &viewer{tx: tx, damaged: &damaged, leased: leased}
			about, layer, err = v.references(id)
			return err
		})
		if err != nil {
			return err
		}
		mounts, err := s.mounts(ctx, store.Info().UUID)
		about.Mount = mountStateOf(mounts, layer)
		return err
	})
	if err != nil {
		return err
	}
	if s.json {
		err = s.writeJSON(about)
	} else {
		s.writeReferences(about)
	}
	if err != nil {
		return err
	}
	return damaged.err()
}

// conclude says what a deletion would do, from all that is known.
func (r *references) conclude() {
	r.Deletion = deletion{Layers: []model.LayerID{}}
	if len(r.Leases)+len(r.Holds) > 0 || slices.ContainsFunc(r.UsedBy, func(u user) bool { return u.Blocks }) {
		return
	}
	r.Deletion.Possible = true
	for _, item := range r.Keeps.Data {
		r.Deletion.Frees += item.Size
	}
	for i, l := range r.Keeps.Layers {
		goes := !l.Shared && !l.Leased
		if r.Kind != model.KindImage {
			goes = i == 0 // a container's own layer, or the layer itself
		}
		if !goes {
			continue
		}
		r.Deletion.Frees += max(l.Size, 0)
		if l.ID != r.ID || r.Kind != model.KindLayer {
			r.Deletion.Layers = append(r.Deletion.Layers, model.LayerID(l.ID))
		}
	}
}

func (s *session) writeReferences(r *references) {
	fmt.Fprintln(s.Stdout, describeBrief(&r.brief))
	line := func(format string, args ...any) { fmt.Fprintf(s.Stdout, "  "+format+"\n", args...) }
	for i, u := range r.UsedBy {
		if i == 0 {
			fmt.Fprintln(s.Stdout, "used by")
		}
		line("%s, %s", describeBrief(&u.brief), describeUse(r, &u))
	}
	if len(r.UsedBy) == 0 {
		fmt.Fprintln(s.Stdout, "used by nothing")
	}
	fmt.Fprintln(s.Stdout, "keeps")
	if image := r.Keeps.Image; image != nil {
		line("%s", describeBrief(image))
	}
	for _, l := range r.Keeps.Layers {
		needed := "not needed otherwise"
		switch {
		case l.Leased:
			needed = "leased"
		case l.Shared:
			needed = "needed by others too"
		}
		line("%s  %s, %s", describeBrief(&brief{Kind: model.KindLayer, ID: l.ID, Names: l.Names}), humanSize(l.Size), needed)
	}
	for _, item := range r.Keeps.Data {
		line("data item %q  %s", item.Key, humanSize(item.Size))
	}
	if m := r.Mount; m != nil {
		fmt.Fprintf(s.Stdout, "mounted at %s, counted as %d\n", clean(m.Path), m.Count)
	}
	s.writeDeletion(r)
}

func (s *session) writeDeletion(r *references) {
	if d := r.Deletion; d.Possible {
		with := ""
		if n := len(d.Layers); n > 0 {
			with = " with " + plural(int64(n), "layer")
		}
		fmt.Fprintf(s.Stdout, "can be deleted%s, which frees %s\n", with, humanSize(d.Frees))
		return
	}
	fmt.Fprintln(s.Stdout, "cannot be deleted before")
	for _, u := range r.UsedBy {
		if u.Blocks {
			fmt.Fprintf(s.Stdout, "  %s\n", describeBrief(&u.brief))
		}
	}
	for i := range r.Leases {
		fmt.Fprintf(s.Stdout, "  %s\n", s.describeLease(&r.Leases[i]))
	}
	for i := range r.Holds {
		fmt.Fprintf(s.Stdout, "  what needs it in the store %s\n", clean(holder(&r.Holds[i])))
	}
}

func describeBrief(b *brief) string {
	return describeUser(&object{Kind: b.Kind, ID: b.ID, Names: b.Names})
}

// describeUse says how an object is used.
func describeUse(r *references, u *user) string {
	text := map[string]string{
		asParent: "which lies on it", asTop: "whose top layer it is", asMapped: "of whose top layer it is a variant",
		asOwn: "whose own layer it is", asImage: "which was made from it",
	}[u.As]
	if u.Via != "" && string(u.Via) != r.ID {
		text = "by way of layer " + shortID(string(u.Via))
	}
	return text
}
