package page_test

import (
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csdb/csdb/cmd/csdb/page"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

// render writes a page.
func render(t testing.TB, p *page.Page) string {
	t.Helper()
	p.HumanSize = func(size int64) string { return fmt.Sprint(size, " B") }
	var out strings.Builder
	if err := p.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// sample is a page with a little of everything, in which text stands for all
// texts that come from the store.
func sample(text func(string) string) *page.Page {
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	user := func(kind, id string, findings ...int) page.User {
		return page.User{
			Kind: kind, ID: text(id + "-in-full"), Short: text(id), Name: text(id + ":1"), Names: text(id + ":1, " + id + ":2"), Findings: findings,
		}
	}
	layer := func(id string, parent int, size int64, users ...page.User) page.Layer {
		return page.Layer{ID: text(id + "-in-full"), Short: text(id), Parent: parent, Size: size, Users: users}
	}
	app, loose := user(page.Image, "app", 0), page.User{Kind: page.Image, ID: text("loose"), Short: text("loose"), Note: text("no layer")}
	layers := []page.Layer{
		layer("base", page.NoParent, 4000),
		layer("one", 0, 100), layer("two", 1, 100), layer("three", 2, 100), layer("top", 3, 2000, app),
		layer("own", 4, -1, user(page.Container, "web")),
		layer("side", 0, 500, user(page.Image, "tool")), layer("left", 6, 300),
		layer("mapped", 0, 50, app),
	}
	layers[0].Names, layers[0].Findings, layers[0].Notes = text("debian"), []int{1}, []string{text("incomplete")}
	return &page.Page{
		Root: text("/store"), Made: at, By: text("csdb 1"), Facts: []page.Line{{Name: "Driver", Text: text("vfs")}},
		Unread: []string{text("a record")}, Layers: layers, Loose: []page.User{loose},
		Data: []page.Data{{Label: text("image app"), Size: 700}}, TarSplits: 20,
		Objects: []page.Object{{User: app, Own: 700, Unique: 2350, Shared: 4000}}, Left: 3,
		Check: page.Check{
			Verdict: "damaged", Summary: text("checked the store"), Counts: []page.Count{{Severity: "damaged", Number: 2}},
			Unchecked: []string{text("layers")}, More: 1,
			Findings: []page.Finding{
				{Severity: "damage", Code: "DATA-MISSING", About: text("image app"), Lines: []page.Line{{Name: "place", Text: text("a/b")}, {Text: text("c")}}},
				{Severity: "info", Code: "LAYER-INCOMPLETE", About: text("layer base")},
			},
		},
		History: []page.Entry{{Time: at, TxID: 7, Author: text("csdb[1]"), Changes: []string{text("create layer"), text("data")}}}, Older: 5,
	}
}

func same(text string) string { return text }

func TestStructure(t *testing.T) {
	const golden = "testdata/page.golden"
	got := outline(parse(t, render(t, sample(same))))
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

func TestTextsCannotBecomeElements(t *testing.T) {
	clean := parse(t, render(t, sample(same)))
	for _, payload := range []string{
		`</script><img src=x onerror=alert(1)>`, `"><svg onload=alert(1)>`, `' onclick='alert(1)`, `--><script>alert(1)</script>`,
		`</title></style><iframe src="javascript:alert(1)">`, "{{.}}${alert(1)}`", "&lt;b&gt;",
	} {
		html := render(t, sample(func(text string) string { return payload + text }))
		got := parse(t, html)
		if diff := cmp.Diff(names(clean), names(got)); diff != "" {
			t.Errorf("%q: %s", payload, diff)
		}
		for _, e := range got {
			for name, value := range e.attrs {
				if strings.HasPrefix(name, "on") || name == "src" || name == "style" || name == "href" && !strings.HasPrefix(value, "#") {
					t.Errorf("%q: <%s %s=%q>", payload, e.name, name, value)
				}
			}
		}
		if strings.Count(html, "<script") != 1 {
			t.Errorf("%q: not one script", payload)
		}
	}
}

// names returns what elements are there. Labels in the map depend on their
// length.
func names(elements []*element) (names []string) {
	for _, e := range elements {
		if e.name != "text" {
			names = append(names, strings.Repeat(" ", e.depth)+e.name)
		}
	}
	return names
}

func TestTextsAreShown(t *testing.T) {
	const payload = `<b>&"'`
	var text strings.Builder
	for _, e := range parse(t, render(t, sample(func(text string) string { return payload + text }))) {
		text.WriteString(e.text + "\n" + e.attrs["title"] + "\n")
	}
	for _, want := range []string{
		"/store", "csdb 1", "vfs", "a record", "base", "base-in-full", "debian", "incomplete", "app:1", "web:1", "loose", "no layer",
		"data items of " + payload + "image app", "checked the store", "a/b", "layer base", "csdb[1]", "create layer",
	} {
		if !strings.Contains(want, payload) {
			want = payload + want
		}
		if !strings.Contains(text.String(), want) {
			t.Errorf("%s is missing", want)
		}
	}
}

func TestPolicyAllowsWhatIsInThePage(t *testing.T) {
	html := render(t, sample(same))
	policy := ""
	for _, e := range parse(t, html) {
		if e.attrs["http-equiv"] == "Content-Security-Policy" {
			policy = e.attrs["content"]
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	for _, name := range []string{"script", "style"} {
		content := regexp.MustCompile(`(?s)<` + name + `>(.*)</` + name + `>`).FindStringSubmatch(html)[1]
		sum := sha256.Sum256([]byte(content))
		if want := name + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, want) || len(content) < 1000 {
			t.Errorf("%s is missing in %q", want, policy)
		}
	}
}

func TestEmptyPage(t *testing.T) {
	html := render(t, &page.Page{Check: page.Check{Verdict: "clean"}})
	parse(t, html)
	for _, want := range []string{"There are no layers", "Nothing takes any space", "Nothing is wrong", "The journal is empty"} {
		if !strings.Contains(html, want) {
			t.Errorf("%q is missing", want)
		}
	}
	html = render(t, &page.Page{Check: page.Check{Verdict: "damaged"}, Unread: []string{"all"}})
	for _, want := range []string{"No layer can be read", "It cannot be read", "No transaction can be read"} {
		if !strings.Contains(html, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

func TestLinksLeadSomewhere(t *testing.T) {
	elements := parse(t, render(t, sample(same)))
	var ids []string
	for _, e := range elements {
		if id := e.attrs["id"]; id != "" {
			ids = append(ids, id)
		}
	}
	if len(slices.Compact(slices.Sorted(slices.Values(ids)))) != len(ids) {
		t.Errorf("an ID is there twice: %q", ids)
	}
	for _, e := range elements {
		for _, name := range []string{"href", "aria-labelledby", "for"} {
			if target := strings.TrimPrefix(e.attrs[name], "#"); target != "" && !slices.Contains(ids, target) {
				t.Errorf("%s=%q leads nowhere", name, target)
			}
		}
	}
}
