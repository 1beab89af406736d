package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// Syntax reads command lines by the rules of containers-storage, which are not
// those of Go's package flag:
//
//   - One dash is for a flag of one letter, two are for a longer name. Several
//     letters behind one dash are as many flags; each of them that takes a
//     value takes the next word, as in "-ni NAME ID".
//   - A value is the next word, whatever that looks like, or follows an equals
//     sign; then one pair of quotes around it is removed.
//   - A switch can have a value behind an equals sign only.
//   - The value of a cli.DurationFlag must be one, see time.ParseDuration.
//   - Flags end at the first word without a dash, at "-", which is an argument,
//     and at "--", which is not.
type Syntax struct {
	flags map[string]known // by the name as typed, with its dashes
}

// known is what Syntax knows about a flag.
type known struct {
	name     string // the long name, without dashes
	isSwitch bool
	// isDuration tells that the value is a span of time.
	isDuration bool
}

// NewSyntax returns the syntax of command lines that have the given flags. The
// first name of a flag is its long one.
func NewSyntax(flags ...cli.Flag) Syntax {
	s := Syntax{flags: make(map[string]known)}
	for _, flag := range flags {
		for _, name := range flag.Names() {
			_, isDuration := flag.(*cli.DurationFlag)
			s.flags[DashedName(name)] = known{name: flag.Names()[0], isSwitch: isSwitch(flag), isDuration: isDuration}
		}
	}
	return s
}

func isSwitch(flag cli.Flag) bool {
	documented, ok := flag.(cli.DocGenerationFlag)
	return ok && !documented.TakesValue()
}

// DashedName returns the name of a flag as it is typed.
func DashedName(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// Setting is a flag that has been given.
type Setting struct {
	Name     string // the long name, without dashes
	Value    string // "true" or "false" for a switch
	IsSwitch bool
}

// Words returns the setting in the form that every parser of command lines
// reads alike.
func (s Setting) Words() []string {
	if s.IsSwitch {
		return []string{DashedName(s.Name) + "=" + s.Value}
	}
	return []string{DashedName(s.Name), s.Value}
}

// Line is a command line that has been read.
type Line struct {
	Settings []Setting // in the order in which they were given
	Args     []string
}

// Words returns the command line in a form without ambiguities, which Parse
// reads back as it is, and Go's package flag reads alike.
func (l Line) Words() []string {
	var words []string
	for _, setting := range l.Settings {
		words = append(words, setting.Words()...)
	}
	return slices.Concat(words, []string{"--"}, l.Args)
}

// SyntaxError says which word of a command line is wrong, and why.
type SyntaxError struct{ text string }

// Error returns the reason with the word.
func (e *SyntaxError) Error() string { return e.text }

func syntaxErrorf(format string, args ...any) error {
	return &SyntaxError{text: fmt.Sprintf(format, args...)}
}

// HelpError says that help was asked for. Word is the form in which it was:
// "-h", "-help" or "--help".
type HelpError struct{ Word string }

// Error tells that help was asked for.
func (e *HelpError) Error() string { return "flag: help requested" }

// Parse reads the words of a command line. Its errors are a *SyntaxError and,
// for a request for help by a flag that is not among the known ones, a
// *HelpError.
func (s Syntax) Parse(words []string) (Line, error) {
	p := &parser{syntax: s, rest: words}
	for {
		word, ok := p.flagWord()
		if !ok {
			return Line{Settings: p.settings, Args: p.rest}, nil
		}
		if err := p.flag(word); err != nil {
			return Line{}, err
		}
	}
}

// parser is a command line that is being read.
type parser struct {
	syntax   Syntax
	rest     []string
	settings []Setting
}

// flagWord takes the next word if it has flags in it.
func (p *parser) flagWord() (string, bool) {
	if len(p.rest) == 0 || p.rest[0] == "-" || !strings.HasPrefix(p.rest[0], "-") {
		return "", false
	}
	word := p.rest[0]
	p.rest = p.rest[1:]
	return word, word != "--"
}

// flag reads a word with flags in it, and the words that their values are.
func (p *parser) flag(word string) error {
	name, value, hasValue := strings.Cut(word, "=")
	if name == "-" {
		return syntaxErrorf("bad flag syntax: %s", word)
	}
	flag, found := p.syntax.flags[name]
	switch {
	case !found && slices.Contains([]string{"-h", "-help", "--help"}, name):
		return &HelpError{Word: name}
	case !found && !hasValue && !strings.HasPrefix(name, "--") && len(name) > 2:
		return p.cluster(word)
	case !found:
		return syntaxErrorf("flag provided but not defined: %s", name)
	case !hasValue:
		return p.plain(flag, name)
	case flag.isSwitch:
		return p.setSwitch(flag, name, unquote(value))
	}
	return p.setValue(flag, name, unquote(value))
}

// cluster reads a word with several flags of one letter.
func (p *parser) cluster(word string) error {
	for _, letter := range word[1:] {
		name := "-" + string(letter)
		flag, found := p.syntax.flags[name]
		if !found {
			return syntaxErrorf("flag provided but not defined: %s", word)
		}
		if err := p.plain(flag, name); err != nil {
			return err
		}
	}
	return nil
}

// plain reads a flag that no equals sign follows.
func (p *parser) plain(flag known, name string) error {
	if flag.isSwitch {
		p.set(flag, "true")
		return nil
	}
	if len(p.rest) == 0 {
		return syntaxErrorf("flag needs an argument: %s", name)
	}
	value := p.rest[0]
	p.rest = p.rest[1:]
	return p.setValue(flag, name, value)
}

// setValue sets a flag that is no switch.
func (p *parser) setValue(flag known, name, value string) error {
	if flag.isDuration {
		if _, err := time.ParseDuration(value); err != nil {
			return syntaxErrorf("invalid value %q for %s: %v", value, name, err)
		}
	}
	p.set(flag, value)
	return nil
}

func (p *parser) setSwitch(flag known, name, value string) error {
	on, err := strconv.ParseBool(value)
	if err != nil {
		return syntaxErrorf("invalid boolean value %q for %s: %v", value, name, errors.Unwrap(err))
	}
	p.set(flag, strconv.FormatBool(on))
	return nil
}

func (p *parser) set(flag known, value string) {
	p.settings = append(p.settings, Setting{Name: flag.name, Value: value, IsSwitch: flag.isSwitch})
}

// unquote removes one pair of quotes around a value.
func unquote(value string) string {
	if len(value) >= 2 && value[0] == value[len(value)-1] && (value[0] == '"' || value[0] == '\'') {
		return value[1 : len(value)-1]
	}
	return value
}
