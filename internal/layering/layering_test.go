package layering_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

func TestModuleKeepsItsRules(t *testing.T) {
	root := os.DirFS("../..")
	sources := parse(t, root)
	if len(sources) < 10 {
		t.Fatalf("found %d files; is this the folder of the module?", len(sources))
	}
	for name, check := range checks {
		for _, wrong := range check(sources) {
			t.Errorf("%s: %s", name, wrong)
		}
	}
}

// lawful is a small module in which everything is as it should be.
func lawful() map[string]string {
	return map[string]string{
		"model/doc.go":                     comment + "package model\nimport \"fmt\"",
		"model/model_test.go":              importing("model_test", "model"),
		"internal/archive/doc.go":          comment + importing("archive", "model", "internal/beneath"),
		"internal/beneath/doc.go":          comment + "package beneath",
		"tarsplit/doc.go":                  comment + importing("tarsplit", "model", "internal/archive"),
		"db/doc.go":                        comment + importing("db", "model", "internal/archive"),
		"db/dbtest/doc.go":                 comment + importing("dbtest", "db"),
		"db/db_test.go":                    importing("db_test", "db", "db/dbtest", "internal/testutil"),
		"drivers/doc.go":                   comment + importing("drivers", "model", "internal/archive", "drivers/internal/at"),
		"drivers/drivers_test.go":          importing("drivers_test", "drivers", "drivers/vfs"),
		"drivers/internal/at/doc.go":       comment + importing("at", "model", "internal/beneath"),
		"drivers/vfs/doc.go":               comment + importing("vfs", "drivers", "drivers/internal/at", "drivers/vfs/copier"),
		"drivers/vfs/copier/doc.go":        comment + importing("copier", "internal/beneath"),
		"drivers/vfs/vfs_test.go":          importing("vfs_test", "drivers/vfs", "drivers/drivertest"),
		"drivers/drivertest/doc.go":        comment + importing("drivertest", "drivers", "internal/testutil"),
		"drivers/drivertest/suite_test.go": importing("drivertest_test", "drivers/vfs"),
		"drivers/builtin/doc.go":           comment + importing("builtin", "drivers", "drivers/vfs"),
		"graph/doc.go":                     comment + importing("graph", "db", "drivers", "drivers/builtin", "tarsplit", "graph/content", "internal/archive", "model"),
		"graph/content/doc.go":             comment + importing("content", "model", "internal/beneath"),
		"graph/fsck/doc.go":                comment + importing("fsck", "db", "graph", "graph/content"),
		"graph/graph_test.go":              importing("graph_test", "graph", "drivers/vfs", "db/dbtest"),
		"cmd/csdb/main.go":                 comment + importing("main", "graph", "graph/fsck", "db", "model", "internal/cli", "cmd/csdb/report"),
		"cmd/csdb/report/doc.go":           comment + importing("report", "model"),
		"examples/embed/main.go":           comment + importing("main", "graph", "model"),
		// What is not looked at.
		"bench/go.mod":              "module github.com/csdb/csdb/bench",
		"bench/bench.go":            "package bench\nimport \"C\"\nfunc init() {}",
		"db/testdata/broken.go":     "this is not Go",
		"db/_old/old.go":            "package old",
		".cache/mod/unknown/any.go": "package any",
	}
}

const comment = "// Package x is for something.\n"

// importing returns a file that imports packages of the module.
func importing(name string, packages ...string) string {
	var file strings.Builder
	file.WriteString("package " + name + "\n")
	for _, pkg := range packages {
		file.WriteString("import \"" + module + "/" + pkg + "\"\n")
	}
	return file.String()
}

// violations runs all checks on a module that has the given files.
func violations(t *testing.T, files map[string]string) []string {
	t.Helper()
	root := make(fstest.MapFS)
	for name, content := range files {
		root[name] = &fstest.MapFile{Data: []byte(content)}
	}
	var all []string
	sources := parse(t, root)
	for _, check := range checks {
		all = append(all, check(sources)...)
	}
	return all
}

func TestLawfulModuleHasNoViolations(t *testing.T) {
	for _, wrong := range violations(t, lawful()) {
		t.Error(wrong)
	}
}

func TestEveryRuleIsEnforced(t *testing.T) {
	for _, test := range []struct {
		name    string
		file    string // is added to the lawful module, or replaces one of it
		content string
		want    string
	}{
		{"model is at the bottom", "model/a.go", importing("model", "internal/archive"), "model may not import internal/archive"},
		{"also in its tests", "model/a_test.go", importing("model_test", "internal/testutil"), "model may not import internal/testutil"},
		{"internal is below db", "internal/archive/a.go", importing("archive", "db"), "internal/archive may not import db"},
		{"internal is below drivers", "internal/archive/a.go", importing("archive", "drivers"), "internal/archive may not import drivers"},
		{"tarsplit knows no driver", "tarsplit/a.go", importing("tarsplit", "drivers"), "tarsplit may not import drivers"},
		{"tarsplit knows no database", "tarsplit/a.go", importing("tarsplit", "db"), "tarsplit may not import db"},
		{"db knows no driver", "db/a.go", importing("db", "drivers"), "db may not import drivers"},
		{"nor do its tests", "db/a_test.go", importing("db_test", "drivers/vfs"), "db may not import drivers/vfs"},
		{"db knows no store", "db/a.go", importing("db", "graph"), "db may not import graph"},
		{"db knows no content", "db/dbtest/a.go", importing("dbtest", "graph/content"), "db/dbtest may not import graph/content"},
		{"db does not record tars", "db/a.go", importing("db", "tarsplit"), "db may not import tarsplit"},
		{"drivers know no database", "drivers/vfs/a.go", importing("vfs", "db"), "drivers/vfs may not import db"},
		{"nor parts of one", "drivers/vfs/copier/a.go", importing("copier", "db"), "drivers/vfs/copier may not import db"},
		{"drivers know no store", "drivers/vfs/a.go", importing("vfs", "graph"), "drivers/vfs may not import graph"},
		{"drivers do not record tars", "drivers/a.go", importing("drivers", "tarsplit"), "drivers may not import tarsplit"},
		{"drivers are independent", "drivers/overlay/a.go", comment + importing("overlay", "drivers/vfs"), "drivers/overlay may not import drivers/vfs"},
		{"also in tests", "drivers/overlay/a_test.go", comment + importing("overlay_test", "drivers/vfs"), "drivers/overlay may not import drivers/vfs"},
		{"a suite is for tests", "drivers/vfs/a.go", importing("vfs", "drivers/drivertest"), "drivers/vfs may not import drivers/drivertest"},
		{"the suite knows no driver", "drivers/drivertest/a.go", importing("drivertest", "drivers/vfs"), "drivers/drivertest may not import drivers/vfs"},
		{"the contract knows no driver", "drivers/a.go", importing("drivers", "drivers/vfs"), "drivers may not import drivers/vfs"},
		{"the contract knows no list", "drivers/a.go", importing("drivers", "drivers/builtin"), "drivers may not import drivers/builtin"},
		{"helpers know no contract", "drivers/internal/at/a.go", importing("at", "drivers"), "drivers/internal/at may not import drivers"},
		{"graph knows no concrete driver", "graph/a.go", importing("graph", "drivers/overlay"), "graph may not import drivers/overlay"},
		{"graph knows no test package", "graph/a.go", importing("graph", "db/dbtest"), "graph may not import db/dbtest"},
		{"content knows no database", "graph/content/a.go", importing("content", "db"), "graph/content may not import db"},
		{"content knows no store", "graph/content/a.go", importing("content", "graph"), "graph/content may not import graph"},
		{"graph knows no command", "graph/a.go", importing("graph", "cmd/csdb"), "graph may not import cmd/csdb"},
		{"nor do its tests", "graph/a_test.go", importing("graph_test", "cmd/csdb/report"), "graph may not import cmd/csdb/report"},
		{"commands are independent", "cmd/containers-storage/main.go", comment + importing("main", "cmd/csdb/report"), "cmd/containers-storage may not import cmd/csdb/report"},
		{"commands know no concrete driver", "cmd/csdb/a.go", importing("main", "drivers/vfs"), "cmd/csdb may not import drivers/vfs"},
		{"examples use what is public", "examples/embed/a.go", importing("main", "internal/archive"), "examples/embed may not import internal/archive"},
		{"other build tags count", "db/a_windows.go", "//go:build crashtest\n\n" + importing("db", "graph"), "db may not import graph"},
		{"every package has a rule", "pkg/util/a.go", comment + "package util", "no rule says what package pkg/util may import"},
		{"also one beside a known one", "models/a.go", comment + "package models", "no rule says what package models may import"},
		{"also one at the root", "csdb.go", comment + "package csdb", "no rule says what package . may import"},
		{"a package has a comment", "internal/a/a.go", "package a", "internal/a: package without a package comment"},
		{"that is not empty", "internal/a/a.go", "//\npackage a", "internal/a: package without a package comment"},
		{"that is not a license", "internal/a/a.go", "// License\n\npackage a", "internal/a: package without a package comment"},
		{"one in a test does not count", "internal/archive/doc.go", "package archive", "internal/archive: package without a package comment"},
		{"a package of tests has one too", "internal/a/a_test.go", "package a_test", "internal/a: package without a package comment"},
		{"files end some time", "db/a.go", "package db" + strings.Repeat("\n", maxLines+1), "1001 lines; 1000 are the limit"},
		{"no init", "db/a.go", "package db\nfunc init() {}", "db/a.go: function init"},
		{"nor in tests", "db/a_test.go", "package db_test\nfunc init() {}", "db/a_test.go: function init"},
		{"no cgo", "db/a.go", "package db\nimport \"C\"", "db/a.go: import \"C\""},
		{"nor for other systems", "db/a_freebsd.go", "package db\n// #include <x.h>\nimport \"C\"", "db/a_freebsd.go: import \"C\""},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := lawful()
			files["internal/archive/a_test.go"] = comment + "package archive_test"
			files[test.file] = test.content
			got := violations(t, files)
			if len(got) != 1 || !strings.Contains(got[0], test.want) {
				t.Errorf("got %q, want one with %q", got, test.want)
			}
		})
	}
}

func TestPatternsMatchWholeElements(t *testing.T) {
	for _, test := range []struct {
		pattern, pkg string
		want         bool
	}{
		{"db", "db", true},
		{"db", "db/dbtest", false},
		{"db", "dbx", false},
		{"db/...", "db", true},
		{"db/...", "db/a/b", true},
		{"db/...", "dbx/a", false},
		{"drivers/*", "drivers/vfs", true},
		{"drivers/*", "drivers", false},
		{"drivers/*", "drivers/vfs/copier", false},
		{"drivers/*/...", "drivers/vfs/copier", true},
		{"drivers/*/...", "drivers", false},
	} {
		if got := matches(test.pattern, test.pkg); got != test.want {
			t.Errorf("%s matches %s: %t", test.pattern, test.pkg, got)
		}
	}
}
