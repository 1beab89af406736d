package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/csdb/csdb/model"
)

// parse reads TOML and returns what is in it, in order. The error matches
// model.ErrInvalid and names the line.
func parse(file string, text []byte) ([]Setting, error) {
	var tree map[string]any
	if err := toml.Unmarshal(text, &tree); err != nil {
		source := Source{File: file, Line: 1}
		if at, ok := errors.AsType[*toml.DecodeError](err); ok {
			source.Line, _ = at.Position()
		}
		return nil, fmt.Errorf("%s: %w: %w", source, model.ErrInvalid, err)
	}
	// Unmarshal tells what the values are but not where, and the parser where
	// they are but not that one stands there twice.
	var parser unstable.Parser
	parser.Reset(text)
	r := reader{file: file, text: text, line: 1, tree: tree, seen: make(map[Key]bool)}
	for parser.NextExpression() {
		r.expression(parser.Expression())
	}
	if err := parser.Error(); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", file, model.ErrInvalid, err)
	}
	return r.found, nil
}

// reader goes through a file.
type reader struct {
	file         string
	text         []byte
	offset, line int // of the last key
	tree         map[string]any
	table        []string // the table that the next lines are in
	seen         map[Key]bool
	found        []Setting
}

func (r *reader) expression(node *unstable.Node) {
	switch node.Kind {
	case unstable.Table, unstable.ArrayTable:
		r.table = r.names(node.Key())
		r.add(r.table)
	case unstable.KeyValue:
		r.keyValue(r.table, node)
	default: // a comment
	}
}

// keyValue adds a value, or those that are in it if it is a table.
func (r *reader) keyValue(table []string, node *unstable.Node) {
	path := slices.Concat(table, r.names(node.Key()))
	r.add(path)
	if node.Value().Kind == unstable.InlineTable {
		for each := node.Value().Children(); each.Next(); {
			r.keyValue(path, each.Node())
		}
	}
}

// names returns the parts of a key, and goes on to its line.
func (r *reader) names(key unstable.Iterator) (names []string) {
	for key.Next() {
		if at := int(key.Node().Raw.Offset); at > r.offset {
			r.line += bytes.Count(r.text[r.offset:at], []byte("\n"))
			r.offset = at
		}
		names = append(names, string(key.Node().Data))
	}
	return names
}

// add adds the value at a path, if it is a whole one: what a known key has is a
// whole even where it should not be a table, and an array is one. Tables that
// hold known keys, and unknown ones, are not.
func (r *reader) add(path []string) {
	var key Key
	var value any = r.tree
	for _, name := range path {
		table, ok := value.(map[string]any)
		if isLeaf(key) || !ok {
			break
		}
		key, value = key.in(name), table[name]
	}
	if _, isTable := value.(map[string]any); (isTable && !isLeaf(key)) || r.seen[key] {
		return
	}
	r.seen[key] = true
	r.found = append(r.found, Setting{Key: key, Value: value, Source: Source{File: r.file, Line: r.line}})
}

// bare are the names that need no quotes.
var bare = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// in returns the key that a name has in the table k.
func (k Key) in(name string) Key {
	if !bare.MatchString(name) {
		name = strconv.Quote(name)
	}
	return Key(strings.TrimPrefix(string(k)+"."+name, "."))
}
