package cli_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/internal/cli"
)

// flags are a few of every sort.
func flags() []urfave.Flag {
	return []urfave.Flag{
		&urfave.StringFlag{Name: "id", Aliases: []string{"i"}},
		&cli.ListFlag{Name: "name", Aliases: []string{"n"}, Destination: new([]string)},
		&urfave.BoolFlag{Name: "json", Aliases: []string{"j"}},
		&urfave.BoolFlag{Name: "quick", Aliases: []string{"q"}},
		&urfave.BoolFlag{Name: "bzip2", Aliases: []string{"bz2", "b"}},
		&urfave.StringFlag{Name: "uidmap"},
		&urfave.DurationFlag{Name: "max", Aliases: []string{"m"}},
	}
}

func TestParse(t *testing.T) {
	value := func(name, value string) cli.Setting { return cli.Setting{Name: name, Value: value} }
	on := func(name string) cli.Setting { return cli.Setting{Name: name, Value: "true", IsSwitch: true} }
	off := func(name string) cli.Setting { return cli.Setting{Name: name, Value: "false", IsSwitch: true} }
	line := func(args []string, settings ...cli.Setting) cli.Line { return cli.Line{Settings: settings, Args: args} }
	for _, test := range []struct {
		name  string
		words string // separated by blanks; '' is an empty word
		want  cli.Line
	}{
		{"nothing", "", line(nil)},
		{"only arguments", "a b", line([]string{"a", "b"})},
		{"durations", "--max=1h30m -m 0 -m -2s", line(nil, value("max", "1h30m"), value("max", "0"), value("max", "-2s"))},
		{"long and short", "--id x -i y", line(nil, value("id", "x"), value("id", "y"))},
		{"equals sign", "--id=x -i=y --id=a=b", line(nil, value("id", "x"), value("id", "y"), value("id", "a=b"))},
		{"cluster of switches", "-jq a", line([]string{"a"}, on("json"), on("quick"))},
		{"cluster with a value", "-ji ID", line(nil, on("json"), value("id", "ID"))},
		{"cluster with the value first", "-ij ID a", line([]string{"a"}, value("id", "ID"), on("json"))},
		{"cluster with two values", "-ni NAME ID", line(nil, value("name", "NAME"), value("id", "ID"))},
		{"repeated letter", "-jj", line(nil, on("json"), on("json"))},
		{"alias of several letters", "--bz2", line(nil, on("bzip2"))},
		{"double quotes", `--id="x"`, line(nil, value("id", "x"))},
		{"single quotes", `-i='x'`, line(nil, value("id", "x"))},
		{"one pair of quotes only", `--id="'x'"`, line(nil, value("id", "'x'"))},
		{"quotes that do not match", `--id='x"`, line(nil, value("id", `'x"`))},
		{"half a pair of quotes", `--id="`, line(nil, value("id", `"`))},
		{"quotes in a word of its own stay", `--id "x"`, line(nil, value("id", `"x"`))},
		{"quoted switch", `--json="true"`, line(nil, on("json"))},
		{"value that looks like a flag", "--id --json", line(nil, value("id", "--json"))},
		{"value that looks like the end", "-i -- a", line([]string{"a"}, value("id", "--"))},
		{"empty value", "--id= --id ''", line(nil, value("id", ""), value("id", ""))},
		{"switch off", "--json=false -j=0 --json=F", line(nil, off("json"), off("json"), off("json"))},
		{"switch on", "--json=1 -j=t --json=TRUE", line(nil, on("json"), on("json"), on("json"))},
		{"last wins later", "--json --json=false", line(nil, on("json"), off("json"))},
		{"switch takes no word", "--json true", line([]string{"true"}, on("json"))},
		{"list", "--name a --name=b,c -n d", line(nil, value("name", "a"), value("name", "b,c"), value("name", "d"))},
		{"flags end at an argument", "a --json -i", line([]string{"a", "--json", "-i"})},
		{"flags end at an empty argument", "'' --json", line([]string{"", "--json"})},
		{"a dash is an argument", "-j - -j", line([]string{"-", "-j"}, on("json"))},
		{"two dashes end flags", "-j -- -j", line([]string{"-j"}, on("json"))},
		{"only the first two dashes", "-- --", line([]string{"--"})},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := cli.NewSyntax(flags()...).Parse(words(test.words))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", test.words, diff)
			}
		})
	}
}

// words splits a command line at blanks.
func words(text string) []string {
	all := strings.Fields(text)
	for i, word := range all {
		if word == "''" {
			all[i] = ""
		}
	}
	return all
}

func TestParseRefusesWhatIsNoFlag(t *testing.T) {
	for _, test := range []struct{ name, words, want string }{
		{"unknown", "--bogus", "flag provided but not defined: --bogus"},
		{"unknown with a value", "--bogus=x", "flag provided but not defined: --bogus"},
		{"unknown letter", "-z", "flag provided but not defined: -z"},
		{"unknown letter in a cluster", "-jz", "flag provided but not defined: -jz"},
		{"letter that is not ASCII", "-é", "flag provided but not defined: -é"},
		{"bytes that are not UTF-8", "-\xff\xfe", "flag provided but not defined: -\xff\xfe"},
		{"value glued on", "-iFOO x", "flag provided but not defined: -iFOO"},
		{"cluster with an equals sign", "-jq=true", "flag provided but not defined: -jq"},
		{"long name with one dash", "-json", "flag provided but not defined: -json"},
		{"letter with two dashes", "--j", "flag provided but not defined: --j"},
		{"other case", "--JSON", "flag provided but not defined: --JSON"},
		{"three dashes", "---json", "flag provided but not defined: ---json"},
		{"no name", "--=x", "flag provided but not defined: --"},
		{"no letter", "-=x", "bad flag syntax: -=x"},
		{"no value", "--id", "flag needs an argument: --id"},
		{"no value for a letter", "-i", "flag needs an argument: -i"},
		{"no value for a letter in a cluster", "-ni NAME", "flag needs an argument: -i"},
		{"neither true nor false", "--json=maybe", `invalid boolean value "maybe" for --json: invalid syntax`},
		{"no duration", "-m soon", `invalid value "soon" for -m: time: invalid duration "soon"`},
		{"no duration behind an equals sign", "--max=1", `invalid value "1" for --max: time: missing unit in duration "1"`},
		{"empty switch", "-j=", `invalid boolean value "" for -j: invalid syntax`},
		{"help in a cluster", "-jh", "flag provided but not defined: -jh"},
	} {
		t.Run(test.name, func(t *testing.T) {
			line, err := cli.NewSyntax(flags()...).Parse(words(test.words))
			var syntax *cli.SyntaxError
			if !errors.As(err, &syntax) || err.Error() != test.want {
				t.Errorf("Parse(%q) = %v, %v; want the error %q", test.words, line, err, test.want)
			}
		})
	}
}

func TestParseTellsHowHelpWasAskedFor(t *testing.T) {
	for _, word := range []string{"-h", "-help", "--help", "--help=x"} {
		_, err := cli.NewSyntax(flags()...).Parse([]string{"-j", word, "--bogus"})
		var help *cli.HelpError
		if want, _, _ := strings.Cut(word, "="); !errors.As(err, &help) || help.Word != want {
			t.Errorf("Parse(%q): error %v, want a request for help by %q", word, err, want)
		}
	}
	own := append(flags(), &urfave.StringFlag{Name: "host", Aliases: []string{"h"}})
	line, err := cli.NewSyntax(own...).Parse([]string{"-h", "x"})
	if want := (cli.Line{Settings: []cli.Setting{{Name: "host", Value: "x"}}}); err != nil || !cmp.Equal(line, want, cmpopts.EquateEmpty()) {
		t.Errorf("a flag of that name is not a request for help: %v, %v", line, err)
	}
}

// What Parse has read is read alike by Parse, and by the parser of urfave/cli.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"-jq a", "-ni NAME ID", "-i=FOO", `--id="x"`, `--id="`, "--json=false --", "a --json", "-", "-- --", "--id --json", "-jz", "--=", "-=",
		"--id ''", "-i= --name a,b -n \x00", "--name=\x82", "--json=\"1\"", "-h", "---", "-\xff",
	} {
		f.Add(strings.Join(words(seed), "\n"))
	}
	f.Fuzz(func(t *testing.T, text string) {
		syntax := cli.NewSyntax(flags()...)
		line, err := syntax.Parse(strings.Split(text, "\n"))
		if err != nil {
			return
		}
		again, err := syntax.Parse(line.Words())
		if err != nil {
			t.Fatalf("canonical words %q of %q: %v", line.Words(), text, err)
		}
		if diff := cmp.Diff(line, again, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("canonical words %q of %q are read otherwise (-first +second):\n%s", line.Words(), text, diff)
		}
		if diff := cmp.Diff(effect(line), urfaveEffect(t, line.Words()), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("canonical words %q of %q are read otherwise by urfave/cli (-ours +its):\n%s", line.Words(), text, diff)
		}
	})
}

// result is what a command gets to see of its command line.
type result struct {
	Values map[string]string
	Names  []string
	Args   []string
}

// effect returns what a line means.
func effect(line cli.Line) result {
	r := result{Values: map[string]string{"id": "", "json": "false", "quick": "false", "bzip2": "false", "uidmap": ""}, Args: line.Args}
	for _, setting := range line.Settings {
		if setting.Name == "name" {
			r.Names = append(r.Names, setting.Value)
			continue
		}
		r.Values[setting.Name] = setting.Value
	}
	return r
}

// urfaveEffect returns what urfave/cli makes of words.
func urfaveEffect(t *testing.T, words []string) (r result) {
	t.Helper()
	var names []string
	own := slices.DeleteFunc(flags(), func(f urfave.Flag) bool { return f.Names()[0] == "name" })
	own = append(own, &cli.ListFlag{Name: "name", Aliases: []string{"n"}, Destination: &names})
	app := &urfave.App{
		HideHelp: true, Flags: own,
		Action: func(c *urfave.Context) error {
			r = result{Values: make(map[string]string), Names: names, Args: c.Args().Slice()}
			for _, name := range []string{"id", "uidmap"} {
				r.Values[name] = c.String(name)
			}
			for _, name := range []string{"json", "quick", "bzip2"} {
				r.Values[name] = map[bool]string{true: "true", false: "false"}[c.Bool(name)]
			}
			return nil
		},
	}
	if err := app.RunContext(t.Context(), slices.Concat([]string{"app"}, words)); err != nil {
		t.Fatalf("urfave/cli refuses %q: %v", words, err)
	}
	return r
}
