package main

import (
	"fmt"
	"os"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/internal/cli"
	"github.com/csdb/csdb/model"
)

// identity has the flags that say what a new object is called.
type identity struct {
	id    string
	names []string
}

func (i *identity) flags() []urfave.Flag {
	return []urfave.Flag{
		&urfave.StringFlag{Name: "id", Aliases: []string{"i"}, Usage: "ID, instead of a random one", Destination: &i.id},
		&cli.ListFlag{Name: "name", Aliases: []string{"n"}, Usage: "name, may be repeated", Destination: &i.names},
	}
}

// metadata has the flags that give metadata to an object.
type metadata struct{ text, file string }

func (m *metadata) flags() []urfave.Flag {
	return []urfave.Flag{
		&urfave.StringFlag{Name: "metadata", Aliases: []string{"m"}, Usage: "metadata", Destination: &m.text},
		&urfave.StringFlag{Name: "metadata-file", Aliases: []string{"f"}, Usage: "file to read metadata from", Destination: &m.file},
	}
}

// get returns the metadata. The file wins.
func (m *metadata) get() (string, error) {
	if m.file == "" {
		return m.text, nil
	}
	text, err := os.ReadFile(m.file)
	return string(text), err
}

// printCreated prints the ID and the names of a new object.
func (s *session) printCreated(id model.ID, names []string) {
	fmt.Fprintln(s.Stdout, id)
	for _, name := range names {
		fmt.Fprintf(s.Stdout, "\t%s\n", name)
	}
}

// optional returns the argument of a command that takes at most one, or "".
func optional(args []string) string { return append(args, "")[0] }
