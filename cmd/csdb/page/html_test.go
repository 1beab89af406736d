package page_test

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// element is an element of a page.
type element struct {
	name  string
	attrs map[string]string
	text  string // its own, not that of those in it
	depth int
}

// raw are the elements whose text is none of HTML.
var raw = regexp.MustCompile(`(?s)<(script|style)>.*?</(script|style)>`)

// parse returns the elements of a page in their order. Each must be closed where
// it belongs.
func parse(t testing.TB, html string) []*element {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(raw.ReplaceAllString(html, "<$1></$1>")))
	d.Strict, d.Entity = false, xml.HTMLEntity
	var all, open []*element
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local, attrs: make(map[string]string), depth: len(open)}
			for _, a := range token.Attr {
				e.attrs[a.Name.Local] = a.Value
			}
			all = append(all, e)
			if !slices.Contains([]string{"meta", "input", "br"}, e.name) {
				open = append(open, e)
			}
		case xml.EndElement:
			if len(open) == 0 || open[len(open)-1].name != token.Name.Local {
				t.Fatalf("</%s> closes nothing", token.Name.Local)
			}
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text += string(token)
			}
		}
	}
	if len(open) > 0 {
		t.Fatalf("<%s> is not closed", open[len(open)-1].name)
	}
	return all
}

// outline draws the elements of a page.
func outline(elements []*element) string {
	var out strings.Builder
	for _, e := range elements {
		out.WriteString(strings.Repeat("  ", e.depth) + e.name)
		for _, name := range []string{"id", "class", "href", "open", "x", "y", "width", "height"} {
			if value, ok := e.attrs[name]; ok {
				out.WriteString(" " + name + "=" + value)
			}
		}
		if text := strings.Join(strings.Fields(e.text), " "); text != "" {
			out.WriteString(": " + text)
		}
		out.WriteString("\n")
	}
	return out.String()
}
