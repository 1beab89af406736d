package layering_test

import (
	"path"
	"slices"
	"strings"
)

// rule says what some packages may import of this module. Patterns are of
// import paths without that of the module: "*" stands for one element, a final
// "/..." for any number of further ones, including none.
type rule struct {
	packages string
	may      []string
	tests    []string // what their tests may import besides
	// unit is a number of path elements: packages that have those in common
	// may import each other.
	unit int
}

// rules are in order; the first that matches a package is the one for it.
//
//	cmd -> graph -> {db, drivers, tarsplit, internal} -> model
var rules = []rule{
	{
		// The vocabulary of all others.
		packages: "model/...",
		unit:     1,
	},
	{
		// Below all packages that are not about one subject of the store.
		packages: "internal/...",
		may:      []string{"model", "internal/..."},
	},
	{
		// Of use without a store.
		packages: "tarsplit/...",
		may:      []string{"model", "internal/..."},
		unit:     1,
	},
	{
		// Knows no driver, so that a database can be read and repaired where
		// no driver works.
		packages: "db/...",
		may:      []string{"model", "internal/..."},
		unit:     1,
	},
	{
		// The one place that knows which drivers there are.
		packages: "drivers/builtin",
		may:      []string{"model", "internal/...", "drivers", "drivers/*"},
		tests:    []string{"drivers/..."},
	},
	{
		packages: "drivers/internal/...",
		may:      []string{"model", "internal/...", "drivers/internal/..."},
	},
	{
		packages: "drivers/drivertest/...",
		may:      []string{"model", "internal/...", "drivers", "drivers/internal/..."},
		tests:    []string{"drivers/..."},
		unit:     2,
	},
	{
		// The contract, and what drivers have in common.
		packages: "drivers",
		may:      []string{"model", "internal/...", "drivers/internal/..."},
		tests:    []string{"drivers/..."},
	},
	{
		// A driver can be deleted without touching another one, and knows
		// layers by the names of folders, not by records.
		packages: "drivers/*/...",
		may:      []string{"model", "internal/...", "drivers", "drivers/internal/..."},
		tests:    []string{"drivers/drivertest"},
		unit:     2,
	},
	{
		// Files by name, whoever records the names.
		packages: "graph/content/...",
		may:      []string{"model", "internal/..."},
		unit:     2,
	},
	{
		// Brings together what is below.
		packages: "graph/...",
		may:      []string{"model", "internal/...", "tarsplit", "db", "drivers", "drivers/builtin"},
		tests:    []string{"db/dbtest", "drivers/..."},
		unit:     1,
	},
	{
		// Programs; nothing imports them, nor does one another.
		packages: "cmd/*/...",
		may:      []string{"model", "internal/...", "tarsplit", "db", "graph/...", "drivers", "drivers/builtin"},
		tests:    []string{"db/dbtest", "drivers/..."},
		unit:     2,
	},
	{
		// What an embedder can write: nothing internal is of use to him.
		packages: "examples/*/...",
		may:      []string{"model", "tarsplit", "db", "graph/...", "drivers"},
		tests:    []string{"internal/testutil"},
		unit:     2,
	},
}

// ruleFor returns the rule for a package.
func ruleFor(pkg string) (rule, bool) {
	i := slices.IndexFunc(rules, func(r rule) bool { return matches(r.packages, pkg) })
	if i < 0 {
		return rule{}, false
	}
	return rules[i], true
}

// allows tells whether a package that the rule is for may import another one.
func (r rule) allows(importer, imported string, inTest bool) bool {
	may := r.may
	if inTest {
		may = slices.Concat(r.may, r.tests)
	}
	return importer == imported || r.sameUnit(importer, imported) ||
		slices.ContainsFunc(may, func(pattern string) bool { return matches(pattern, imported) })
}

// sameUnit tells whether two packages have the first elements in common.
func (r rule) sameUnit(a, b string) bool {
	if r.unit == 0 {
		return false
	}
	first := func(p string) []string {
		elements := strings.Split(p, "/")
		return elements[:min(r.unit, len(elements))]
	}
	return slices.Equal(first(a), first(b))
}

// matches tells whether a pattern stands for a package.
func matches(pattern, pkg string) bool {
	if above, ok := strings.CutSuffix(pattern, "/..."); ok {
		elements := strings.Split(pkg, "/")
		pattern = above
		pkg = strings.Join(elements[:min(len(elements), 1+strings.Count(above, "/"))], "/")
	}
	ok, err := path.Match(pattern, pkg)
	return ok && err == nil
}
