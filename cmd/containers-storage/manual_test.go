package main

import (
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/internal/cli"
)

func TestManualPagesAreThoseOfTheHelp(t *testing.T) {
	t.Parallel()
	p := reference()
	pages := map[string]string{"man/containers-storage.1": page(p.manual())}
	for _, command := range p.app.Commands {
		pages["man/containers-storage-"+command.Name+".1"] = page(p.manualOf(command))
	}
	checkDocs(t, "man/containers-storage*.1", pages)
}

// page makes a manual page of Markdown.
func page(markdown string) string { return string(md2man.Render([]byte(markdown))) }

// manualOf returns the manual page of a command, with all its names.
func (p *program) manualOf(command *urfave.Command) string {
	var names []string
	for _, name := range command.Names() {
		names = append(names, programName+"-"+name)
	}
	var m markdown
	m.linef("%% %s 1", names[0])
	m.section("NAME", fmt.Sprintf("%s - %s", strings.Join(names, ", "), lowerFirst(command.Usage)))
	var synopsis []string
	for _, name := range command.Names() {
		synopsis = append(synopsis, strings.TrimSpace(fmt.Sprintf("**%s %s** [*options*] %s", programName, name, escaped(command.ArgsUsage))))
	}
	m.section("SYNOPSIS", strings.Join(synopsis, "\n\n"))
	m.section("DESCRIPTION", prose(command.Description))
	m.section("OPTIONS", p.describeFlags(command.Flags)+"The options of **containers-storage**(1) can be given too. All stand before the arguments.")
	m.section("EXIT STATUS", "0, or 1 if something failed, or 125 if an option is wrong.")
	m.section("SEE ALSO", "**containers-storage**(1)")
	return m.String()
}

// manual returns the manual page of the program.
func (p *program) manual() string {
	var m markdown
	m.linef("%% %s 1", programName)
	m.section("NAME", programName+", oci-storage - work on a store of layers, images and containers")
	m.section("SYNOPSIS", "**"+programName+"** [*options*] *command* [*options*] [*arguments*]")
	m.section("DESCRIPTION", manualDescription)
	m.section("OPTIONS", p.describeFlags(p.app.Flags))
	m.section("COMMANDS", "Each has a page of its own: **containers-storage-create-layer**(1), and so on.\n")
	for _, command := range p.app.Commands {
		m.linef("**%s**\n: %s\n", strings.Join(command.Names(), "**, **"), command.Usage)
	}
	m.section("EXIT STATUS", "0, or 1 if something failed, or 125 if an option behind the name of the command is wrong or asks for help. "+
		"In a user namespace it is 128 and the number of the signal if one has ended the program.")
	m.section("ENVIRONMENT", describeAll(manualEnvironment))
	m.section("FILES", describeAll(manualFiles))
	m.section("SEE ALSO", "**csdb**(8), **subuid**(5), **subgid**(5), **newuidmap**(1), **user_namespaces**(7)")
	return m.String()
}

const manualDescription = `The program works on a store, in which there are layers, images and containers. It has the commands, options and output of the
program of that name that comes with the library containers/storage, and also answers to the name that this had before.

Objects are named by their ID, the beginning of one, or a name. Where nothing else is said, layers are tried first, then images, then containers.

Where the store is, is said by options, by the environment, and by the file storage.conf, in this order. A store that does not
exist is made.

Options of one letter can stand behind one dash, as in **-jq**. They end at the first argument, and at **--**.

Whoever is not root gets a user namespace for each command, with the IDs that **subuid**(5) and **subgid**(5) allow. What is
mounted can be seen in that one only: see **containers-storage-unshare**(1).`

var manualEnvironment = [][2]string{
	{"CONTAINERS_STORAGE_CONF", "The only configuration file to read, in place of all others."},
	{"STORAGE_DRIVER", "The storage driver, in place of that of the file."},
	{"STORAGE_OPTS", "Options of the driver, separated by commas, in place of those of the file."},
	{"SHELL", "What **unshare** runs if it is not told what."},
	{"XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_RUNTIME_DIR, HOME, TMPDIR", "Where users other than root have their file, and their store."},
}

var manualFiles = [][2]string{
	{"/etc/containers/storage.conf, /usr/share/containers/storage.conf", "The configuration; the first that exists counts."},
	{"~/.config/containers/storage.conf", "That of a user other than root."},
	{"/var/lib/containers/storage, /run/containers/storage", "Where the store of root is."},
	{"~/.local/share/containers/storage", "Where that of another user is."},
}

// markdown is a manual page that is being written.
type markdown struct{ strings.Builder }

func (m *markdown) linef(format string, args ...any) { fmt.Fprintf(m, format+"\n", args...) }

func (m *markdown) section(name, text string) { m.linef("\n# %s\n\n%s", name, text) }

// prose makes Markdown of a description: what is indented becomes code.
func prose(description string) string {
	var out []string
	for line := range strings.SplitSeq(strings.Trim(description, "\n"), "\n") {
		if code, isCode := strings.CutPrefix(line, "  "); isCode {
			line = "    " + code
		} else {
			line = escaped(line)
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// escaped returns a text in Markdown in which nothing has a meaning of its own.
func escaped(text string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, "*", `\*`, "_", `\_`, "<", `\<`, "`", "\\`").Replace(text)
}

// describeFlags describes flags in the order of their names.
func (p *program) describeFlags(flags []urfave.Flag) string {
	var m markdown
	for _, flag := range sortedFlags(flags) {
		var names []string
		for _, name := range flag.Names() {
			names = append(names, "**"+cli.DashedName(name)+"**")
		}
		argument := ""
		if takesValue(flag) {
			argument = " *value*"
		}
		m.linef("%s%s\n: %s\n", strings.Join(names, ", "), argument, escaped(meaning(flag))+p.describeDefault(flag))
	}
	return m.String()
}

func (p *program) describeDefault(flag urfave.Flag) string {
	documented, ok := flag.(urfave.DocGenerationFlag)
	if !ok || p.defaultOf(documented) == "" {
		return ""
	}
	return " (" + strings.TrimPrefix(p.defaultOf(documented), "=") + ")"
}

// describeAll describes variables or files.
func describeAll(list [][2]string) string {
	var m markdown
	for _, one := range list {
		m.linef("**%s**\n: %s\n", escaped(one[0]), one[1])
	}
	return m.String()
}

func lowerFirst(text string) string { return strings.ToLower(text[:1]) + text[1:] }

func TestManualPagesCanBeRead(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("man"); err != nil {
		t.Skipf("needs man: %v", err)
	}
	p := reference()
	for _, test := range []struct {
		page string
		want []string
	}{
		{"containers-storage", slices.Collect(maps.Keys(commandNames(p)))},
		{"containers-storage-applydiff-using-staging-dir", []string{
			"containers-storage applydiff-using-staging-dir [options] layerNameOrID directory",
			`enable_partial_images = "true" among`, "containers-storage applydiff-using-staging-dir app /srv/tree\n",
		}},
		{"containers-storage-create-layer", []string{"containers-storage createlayer [options] [parentLayerNameOrID]", "--name, -n value", "name, may be repeated"}},
	} {
		command := exec.CommandContext(t.Context(), "man", "--warnings=w", "--no-hyphenation", "--no-justification", "-l", docsDir+"/man/"+test.page+".1")
		command.Env = append(command.Environ(), "MANWIDTH=120", "LC_ALL=C")
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", test.page, err, output)
		}
		for _, want := range test.want {
			if !strings.Contains(string(output), want) {
				t.Errorf("%s: without %q:\n%s", test.page, want, output)
			}
		}
	}
}

// commandNames returns the names of all commands, and what they are aliases of.
func commandNames(p *program) map[string]string {
	names := make(map[string]string)
	for _, command := range p.app.Commands {
		for _, name := range command.Names() {
			names[name] = command.Name
		}
	}
	return names
}
