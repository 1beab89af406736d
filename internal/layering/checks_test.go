package layering_test

import (
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"strconv"
	"strings"
)

const (
	module   = "github.com/csdb/csdb"
	maxLines = 1000
)

// checks return what is wrong with the files, in words.
var checks = map[string]func([]source) []string{
	"imports":          checkImports,
	"package comments": checkPackageComments,
	"size":             checkSize,
	"init":             checkInit,
	"cgo":              checkCgo,
}

// checkImports finds imports that the rules do not allow.
func checkImports(sources []source) []string {
	var wrong []string
	for _, file := range sources {
		rule, ok := ruleFor(file.pkg)
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s: no rule says what package %s may import; add one to internal/layering/rules_test.go", file.name, file.pkg))
			continue
		}
		for _, imported := range imports(file) {
			ours, ok := strings.CutPrefix(imported, module+"/")
			if ok && !rule.allows(file.pkg, ours, file.test) {
				wrong = append(wrong, fmt.Sprintf("%s: %s may not import %s", file.name, file.pkg, ours))
			}
		}
	}
	return wrong
}

// imports returns the import paths in a file.
func imports(file source) []string {
	paths := make([]string, 0, len(file.tree.Imports))
	for _, spec := range file.tree.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil { // the parser has seen to that
			paths = append(paths, p)
		}
	}
	return paths
}

// checkPackageComments finds packages that do not say what they are for. A
// comment in a test counts only for a package that has nothing but tests.
func checkPackageComments(sources []source) []string {
	onlyTests := make(map[string]bool)
	for _, file := range sources {
		known, seen := onlyTests[file.pkg]
		onlyTests[file.pkg] = file.test && (known || !seen)
	}
	missing := make(map[string]bool)
	for pkg := range onlyTests {
		missing[pkg] = true
	}
	for _, file := range sources {
		counts := !file.test || onlyTests[file.pkg]
		if counts && file.tree.Doc != nil && strings.TrimSpace(file.tree.Doc.Text()) != "" {
			delete(missing, file.pkg)
		}
	}
	var wrong []string
	for _, pkg := range slices.Sorted(maps.Keys(missing)) {
		wrong = append(wrong, fmt.Sprintf("%s: package without a package comment", pkg))
	}
	return wrong
}

// checkSize finds files that are too long to be about one subject.
func checkSize(sources []source) []string {
	var wrong []string
	for _, file := range sources {
		if file.lines > maxLines {
			wrong = append(wrong, fmt.Sprintf("%s: %d lines; %d are the limit", file.name, file.lines, maxLines))
		}
	}
	return wrong
}

// checkInit finds functions that run because of an import.
func checkInit(sources []source) []string {
	var wrong []string
	for _, file := range sources {
		for _, decl := range file.tree.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				wrong = append(wrong, file.name+": function init; importing a package has no effects")
			}
		}
	}
	return wrong
}

// checkCgo finds files that need a C compiler.
func checkCgo(sources []source) []string {
	var wrong []string
	for _, file := range sources {
		if slices.Contains(imports(file), "C") {
			wrong = append(wrong, file.name+": import \"C\"; the programs are static")
		}
	}
	return wrong
}
