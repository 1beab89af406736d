package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph"
	"github.com/csdb/csdb/model"
)

// completer is an action whose arguments are objects.
type completer interface {
	// candidates returns what may come after the given arguments.
	candidates(args []string) candidates
}

// candidates are what an argument may be: certain words, or an object.
type candidates struct {
	words []string
	kinds []model.Kind
}

// completionTimeout is how long somebody who has pressed a key waits for
// programs that change the store.
const completionTimeout = 300 * time.Millisecond

// wordPattern is what names must be like to be completed. In others there may be
// what a shell takes for a command.
var wordPattern = regexp.MustCompile(`^[0-9A-Za-z._/@+][0-9A-Za-z._/@+:-]*$`)

// complete writes what the next argument of a command may be, one per line, with
// a backslash before colons: behind others zsh expects a description. It says
// nothing of what goes wrong, and leaves flags to urfave/cli.
func (p *program) complete(c *urfave.Command, a completer) urfave.BashCompleteFunc {
	return func(u *urfave.Context) {
		if n := len(p.words); n > 1 && strings.HasPrefix(p.words[n-2], "-") {
			urfave.DefaultCompleteWithFlags(c)(u)
			return
		}
		next := a.candidates(u.Args().Slice())
		if p.settings.complete() == nil {
			s := &session{Env: p.Env, settings: p.settings}
			s.settings.timeout = completionTimeout
			_ = s.view(u.Context, func(tx *graph.ReadTx) error {
				next.words = append(next.words, objectWords(tx, next.kinds)...)
				return nil
			})
		}
		for _, word := range next.words {
			fmt.Fprintln(p.Stdout, strings.ReplaceAll(word, ":", `\:`))
		}
	}
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
