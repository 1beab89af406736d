package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	urfave "github.com/urfave/cli/v2"
)

type docs struct{ app func() *urfave.App }

// docsCommand is for those who build the program.
func (p *program) docsCommand() *urfave.Command {
	return p.command(urfave.Command{
		Name: "docs", Usage: "write the manual pages", ArgsUsage: "DIRECTORY", Hidden: true,
		Description: "Writes csdb.md and man/csdb.8 in a directory.",
	}, arity{1, 1}, &docs{app: p.app})
}

func (o *docs) run(_ context.Context, _ *session, args []string) error {
	markdown, err := manual(o.app())
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(args[0], "man"), 0o755); err != nil {
		return err
	}
	page := fmt.Sprintf("%% csdb 8\n\n%s", markdown)
	for name, content := range map[string][]byte{
		"csdb.md":    []byte(markdown),
		"man/csdb.8": md2man.Render([]byte(page)),
	} {
		if err := os.WriteFile(filepath.Join(args[0], name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// manual returns the manual page in Markdown.
func manual(app *urfave.App) (string, error) {
	page, err := template.New("manual").Funcs(template.FuncMap{"prose": prose, "flag": describeFlag}).Parse(manualTemplate)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	if err := page.Execute(&text, app); err != nil {
		return "", err
	}
	return text.String(), nil
}

// prose makes Markdown of a description: what is indented becomes code.
func prose(description string) string {
	var out []string
	for line := range strings.SplitSeq(description, "\n") {
		if code, ok := strings.CutPrefix(line, "  "); ok {
			line = "    " + code
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// describeFlag makes Markdown of a flag, whose own text has its names, a tab
// and what it means.
func describeFlag(flag urfave.Flag) string {
	names, meaning, _ := strings.Cut(flag.String(), "\t")
	return fmt.Sprintf("**%s**\n: %s", names, strings.TrimSpace(meaning))
}

const manualTemplate = `# NAME

{{.Name}} - {{.Usage}}

# SYNOPSIS

**{{.Name}}** [flags] *command* [flags] [arguments]

# DESCRIPTION

{{prose .Description}}

# FLAGS
{{range .VisibleFlags}}
{{flag .}}
{{end}}
# COMMANDS
{{range .VisibleCommands}}{{$group := .Name}}
## {{.Name}}{{if .ArgsUsage}} {{.ArgsUsage}}{{end}}

{{prose .Description}}
{{range .VisibleFlags}}
{{flag .}}
{{end}}{{range .Subcommands}}
### {{$group}} {{.Name}}{{if .ArgsUsage}} {{.ArgsUsage}}{{end}}

{{prose .Description}}
{{range .VisibleFlags}}
{{flag .}}
{{end}}{{end}}{{end}}
# SEE ALSO

**containers-storage**(1)
`
