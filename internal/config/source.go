package config

import "fmt"

// Source says where a value is from. The zero value means that it is a
// default.
type Source struct {
	// File and Line are of the file that has the value; lines count from 1.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Variable is the name of an environment variable.
	Variable string `json:"variable,omitempty"`
	// Flag is a flag of the command line, with its dashes.
	Flag string `json:"flag,omitempty"`
}

// String returns the source as people write it.
func (s Source) String() string {
	switch {
	case s.File != "":
		return fmt.Sprintf("%s:%d", s.File, s.Line)
	case s.Variable != "":
		return "$" + s.Variable
	case s.Flag != "":
		return s.Flag
	}
	return "default"
}

// Setting is a value, and where it is from.
type Setting struct {
	Key Key
	// Value is a string, a []string, a bool, an int64, or a map[string]string
	// for PullOptions. Of unknown keys it is whatever TOML has.
	Value  any
	Source Source
}

// wrap returns an error as one about the setting.
func (s Setting) wrap(err error) error { return fmt.Errorf("%s: %s: %w", s.Source, s.Key, err) }
