package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

// completer is an action whose arguments are objects or leases.
type completer interface {
	// candidates returns what may come after the given arguments.
	candidates(args []string) candidates
}

// candidates are what an argument may be: certain words, an object, or a lease.
type candidates struct {
	words  []string
	kinds  []model.Kind
	leases bool
}

// completionTimeout is how long somebody who has pressed a key waits for
// programs that change the store.
const completionTimeout = 300 * time.Millisecond

// wordPattern is what names must be like to be completed. In others there may be
// what a shell takes for a command.
var wordPattern = regexp.MustCompile(`^[0-9A-Za-z._/@+][0-9A-Za-z._/@+:-]*$`)

// complete writes what the next argument of a command may be, or the value of
// the flag before it, one per line, with a backslash before colons: behind others
// zsh expects a description. It says nothing of what goes wrong, and leaves the
// names of flags to urfave/cli. The action need not be a completer.
func (p *program) complete(c *urfave.Command, a action) urfave.BashCompleteFunc {
	return func(u *urfave.Context) {
		if n := len(p.words); n > 1 && strings.HasPrefix(p.words[n-2], "-") {
			if values, known := valuesOf(c, strings.TrimLeft(p.words[n-2], "-")); known {
				p.offer(u.Context, values)
			} else {
				urfave.DefaultCompleteWithFlags(c)(u)
			}
			return
		}
		if completes, ok := a.(completer); ok {
			p.offer(u.Context, completes.candidates(u.Args().Slice()))
		} else {
			urfave.DefaultCompleteWithFlags(c)(u)
		}
	}
}

// valuesOf returns what the value of a flag of a command may be, if there is such
// a flag and that can be told.
func valuesOf(c *urfave.Command, flag string) (values candidates, known bool) {
	if !slices.ContainsFunc(c.Flags, func(f urfave.Flag) bool { return slices.Contains(f.Names(), flag) }) {
		return candidates{}, false
	}
	switch flag {
	case "depth":
		for _, depth := range fsck.Depths() {
			values.words = append(values.words, string(depth))
		}
	case "kind":
		for _, kind := range model.Kinds {
			values.words = append(values.words, string(kind))
		}
	case "keep":
		values.kinds = []model.Kind{model.KindImage}
	case "only":
		values.kinds = model.Kinds
	default:
		return candidates{}, false
	}
	return values, true
}

// offer writes candidates.
func (p *program) offer(ctx context.Context, next candidates) {
	if (len(next.kinds) > 0 || next.leases) && p.settings.complete() == nil {
		s := &session{Env: p.Env, settings: p.settings}
		s.settings.timeout = completionTimeout
		_ = s.with(ctx, func(store *graph.Store) error {
			next.words = append(next.words, s.wordsOf(ctx, store, &next)...)
			return nil
		})
	}
	for _, word := range next.words {
		fmt.Fprintln(p.Stdout, strings.ReplaceAll(word, ":", `\:`))
	}
}

// wordsOf returns what a store has of the candidates.
func (s *session) wordsOf(ctx context.Context, store *graph.Store, next *candidates) (words []string) {
	wait, cancel := s.waiting(ctx)
	defer cancel()
	if next.leases {
		all, _ := store.Leases(wait)
		for _, l := range all {
			if model.ValidateLeaseID(l.ID) == nil {
				words = append(words, l.ID)
			}
		}
		return words
	}
	_ = store.View(wait, func(tx *graph.ReadTx) error {
		words = objectWords(tx, next.kinds)
		return nil
	})
	return words
}

// objectWords returns the names and the abbreviated IDs of objects, as far as
// they can be read.
func objectWords(tx *graph.ReadTx, kinds []model.Kind) (words []string) {
	var damaged damages
	for _, kind := range kinds {
		objects, err := loadObjects(tx, kind, &damaged)
		if err != nil {
			return words
		}
		for _, o := range objects {
			for _, word := range append(o.Names, shortID(o.ID)) {
				if wordPattern.MatchString(word) {
					words = append(words, word)
				}
			}
		}
	}
	return words
}

func (o *ls) candidates(args []string) (next candidates) {
	if len(args) == 0 {
		next.words = []string{"layers", "images", "containers", "all"}
	}
	next.kinds, _ = kindsOf(args)
	return next
}

func (o *inspect) candidates([]string) candidates { return candidates{kinds: kindsOr(o.kind)} }

func (o *leaseAdd) candidates([]string) candidates { return candidates{kinds: kindsOr(o.kind)} }

func (o *leaseRemove) candidates([]string) candidates { return candidates{leases: true} }

func (o *refs) candidates(args []string) candidates {
	if len(args) > 0 {
		return candidates{}
	}
	return candidates{kinds: kindsOr(o.kind)}
}

func (o *tree) candidates(args []string) candidates {
	if len(args) > 0 {
		return candidates{}
	}
	return candidates{kinds: model.Kinds}
}

// kindsOr returns the kind that a flag names, or all.
func kindsOr(flag string) []model.Kind {
	if flag == "" {
		return model.Kinds
	}
	return []model.Kind{model.Kind(flag)}
}
