package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// defects is how many rows the table of defects has.
const defects = 42

// TestCompatibilityIsShown reads docs/compatibility.md: every row names a test, or
// says why there is none, and the tests exist.
func TestCompatibilityIsShown(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(docsDir, "compatibility.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problemsOf(string(text), testsBelow(t, "../..")) {
		t.Error(problem)
	}
}

// testsBelow returns the names of all tests in a tree, those of suites too.
func testsBelow(t *testing.T, root string) map[string]bool {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func (?:\([^)]*\) )?(Test\w+)\(`)
	names := make(map[string]bool)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return skipHidden(entry, err)
		}
		text, err := os.ReadFile(path)
		for _, found := range declared.FindAllStringSubmatch(string(text), -1) {
			names[found[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// skipHidden keeps a walk out of hidden directories.
func skipHidden(entry fs.DirEntry, err error) error {
	if err == nil && entry.IsDir() && len(entry.Name()) > 2 && strings.HasPrefix(entry.Name(), ".") {
		return filepath.SkipDir
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone meanwhile
	}
	return err
}

// problemsOf returns what is wrong with the page.
func problemsOf(page string, tests map[string]bool) (problems []string) {
	named := regexp.MustCompile(`\bTest[A-Z]\w*`)
	for _, name := range named.FindAllString(page, -1) {
		if !tests[name] {
			problems = append(problems, "there is no test "+name)
		}
	}
	var numbers []string
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ---") || strings.HasPrefix(line, "| file |") || strings.HasPrefix(line, "| | ") {
			continue
		}
		if !named.MatchString(line) && !strings.Contains(line, "| none yet: ") {
			problems = append(problems, "neither a test nor a reason: "+line)
		}
		if number, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " "); strings.Trim(number, "0123456789") == "" {
			numbers = append(numbers, number)
		}
	}
	for i := range defects {
		if number := fmt.Sprint(i + 1); !slices.Contains(numbers, number) {
			problems = append(problems, "no row "+number)
		}
	}
	return problems
}

func TestMistakesInThePageAreNoticed(t *testing.T) {
	t.Parallel()
	var rows strings.Builder
	for i := range defects {
		fmt.Fprintf(&rows, "| %d | does | here | TestOne, TestTwo |\n", i+1)
	}
	page := "| | what | here | tests |\n| --- | --- | --- | --- |\n" + rows.String() + "| names | TestOne |\n| idmaps | none yet: later |\n"
	tests := map[string]bool{"TestOne": true, "TestTwo": true}
	if problems := problemsOf(page, tests); problems != nil {
		t.Fatal(problems)
	}
	for old, replacement := range map[string]string{
		"| 7 | does | here | TestOne, ":            "| 7 | does | here | TestNobody, ",
		"| 8 | does | here | TestOne, TestTwo |\n": "",
		"| names | TestOne |":                      "| names | |",
		"none yet: ":                               "",
	} {
		if problems := problemsOf(strings.Replace(page, old, replacement, 1), tests); len(problems) != 1 {
			t.Errorf("with %q in place of %q: %q", replacement, old, problems)
		}
	}
}
