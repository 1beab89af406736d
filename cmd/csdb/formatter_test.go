package main

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/csdb/csdb/graph"
)

func TestFormat(t *testing.T) {
	s := newSample(t)
	for _, test := range []struct {
		command, format string
		args            []string
		want            string
	}{
		{"ls", "{{.Kind}} {{.ID}} {{.Size}}", []string{"images"}, fmt.Sprintf("image %s 256076\nimage %s 128076\n", appImage, toolImage)},
		{"ls", `{{join .Names "+"}}`, []string{"images"}, "docker.io/library/app:1+app:latest\ntool:2\n"},
		{"ls", "{{json .Names}}\t{{len .Names}}", []string{"tool:2", "3eb01a"}, "[\"tool:2\"]\t1\n[]\t0\n"},
		{"ls", "{{.Layer}}{{if .Image}} of {{.Image}}{{end}}", []string{"job"}, fmt.Sprintf("70b1a7%s of %s\n", strings.Repeat("f", 58), toolImage)},
		{"ls", "", []string{"images"}, "\n\n"},
		{"inspect", "{{.ID}}{{with .Image}} {{len .Layers}}{{end}}", []string{"web", "tool:2"}, fmt.Sprintf("%s\n%s 2\n", webCtr, toolImage)},
		{"inspect", "{{range .Data}}{{.Key}}={{.Size}};{{end}} {{.Size.Shared}} {{.Mount.Count}}", []string{"web"}, "settings=15; 256000 1\n"},
		{"inspect", "{{json .Image.TopLayer}} {{join .Image.Layers \",\"}}", []string{"tool:2"}, fmt.Sprintf("%q %s,%s\n", sideLayer, sideLayer, baseLayer)},
		{"inspect", `{{json "<&>"}}{{"a\tb\x1b[31m"}}`, []string{"web"}, "\"<&>\"a\tb\uFFFD[31m\n"},
	} {
		r := s.csdb(t, append([]string{test.command, "--format", test.format}, test.args...)...)
		if r.stdout != test.want || r.status != 0 {
			t.Errorf("%s %q: %+v, want %q", test.command, test.format, r, test.want)
		}
	}
}

func TestFaultsInFormatsAreFound(t *testing.T) {
	s := newSample(t)
	for _, test := range []struct{ format, want string }{
		{"{{.ID", "line 1, column 1: unclosed action"},
		{"{{.ID}} {{.Kind}", "line 1, column 9: bad character U+007D"},
		{"{{.ID}} {{nothing .ID}}{{.ID}}", `line 1, column 9: function "nothing" not defined`},
		{"é {{.ID}}\nü {{end}}", "line 2, column 3: unexpected {{end}}"},
		{`{{"}}"}} {{nothing}}`, `line 1, column 10: function "nothing" not defined`},
		{"{{if .ID}}x", "line 1, column 12: unexpected EOF"},
		{"ä {{.Nothing}}", "line 1, column 5: <.Nothing>: can't evaluate field Nothing"},
		{"{{.ID}}\nä {{.Kind}} {{.ID.Nothing}}", "line 2, column 18: <.ID.Nothing>: can't evaluate field Nothing"},
		{"{{join .ID 7}}", "line 1, column 12: <7>: expected string; found 7"},
		{`{{join .ID ","}}`, "line 1, column 3: <join .ID \",\">: error calling join: join takes a list and a text, and not string"},
	} {
		for _, args := range [][]string{{"ls", "--format", test.format}, {"inspect", "--format", test.format, "web"}} {
			r := s.csdb(t, args...)
			if want := "csdb: --format: " + test.want; r.status != exitFailed || r.stdout != "" || !strings.HasPrefix(r.stderr, want) {
				t.Errorf("%q: %+v, want %q", args, r, want)
			}
		}
	}
}

func TestFormatsAreReadBeforeTheStore(t *testing.T) {
	for _, args := range [][]string{
		{"ls", "--format", "{{"}, {"inspect", "--format", "{{", "x"}, {"ls", "--format", "x", "--json"}, {"--json", "inspect", "--format", "", "x"}, {"ls", "--format", "x", "-q"},
	} {
		r := csdb(t, append([]string{"--root", t.TempDir()}, args...)...)
		if r.status != exitFailed || !strings.Contains(r.stderr, "--format") {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

// The help names every field that a template may use.
func TestHelpNamesAllFields(t *testing.T) {
	for command, values := range map[string][]any{
		"ls":      {listed{}},
		"inspect": {inspection{}, graph.Size{}, dataItem{}, usedBy{}, layerDetails{}, diffDetails{}, imageDetails{}, containerDetails{}, mountState{}},
	} {
		help := strings.Fields(csdb(t, command, "--help").stdout)
		named := make(map[string]bool)
		for _, word := range help {
			named[strings.TrimRight(word, ",.")] = true
		}
		for _, value := range values {
			for _, field := range reflect.VisibleFields(reflect.TypeOf(value)) {
				if name := "." + field.Name; field.IsExported() && !field.Anonymous && !named[name] {
					t.Errorf("%s: %s of %T is not named", command, name, value)
				}
			}
		}
	}
}
