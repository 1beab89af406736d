package fsck

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/csdb/csdb/db"
	"github.com/csdb/csdb/model"
)

// codes are the codes for the problems that package db finds.
var codes = map[db.ProblemCode]Code{
	db.ProblemMeta:        CodeMeta,
	db.ProblemPage:        CodePage,
	db.ProblemFree:        CodeFree,
	db.ProblemBucket:      CodeBucket,
	db.ProblemRecord:      CodeRecord,
	db.ProblemIndex:       CodeIndex,
	db.ProblemIndexStray:  CodeIndex,
	db.ProblemSequence:    CodeCount,
	db.ProblemUses:        CodeCount,
	db.ProblemUsage:       CodeCount,
	db.ProblemOrphanData:  CodeOrphan,
	db.ProblemTrash:       CodeDoomed,
	db.ProblemParent:      CodeParent,
	db.ProblemCycle:       CodeCycle,
	db.ProblemTopLayer:    CodeLayer,
	db.ProblemLayer:       CodeLayer,
	db.ProblemImage:       CodeImage,
	db.ProblemSharedLayer: CodeShared,
	db.ProblemHold:        CodeHold,
	db.ProblemElsewhere:   CodePlace,
}

// noteProblem makes a finding of a problem in the database, or in that of volatile
// containers at a path.
func (c *checker) noteProblem(volatile string, p db.Problem) {
	finding := Finding{Code: codes[p.Code], Realm: InDatabase, Place: p.Place, Expected: p.Expected, Found: p.Found}
	if p.IsDerived() {
		finding.Severity, finding.Derived = Repairable, true
	}
	if p.Code == db.ProblemTrash || strings.HasPrefix(p.Place, "trash/") {
		finding.Derived = true // what is content without a record then, is found as such
	}
	if p.Code == db.ProblemRecord && strings.HasPrefix(p.Place, "prepared/") {
		finding.Derived = true // nobody can find out any more what was to be changed
	}
	if p.ID != "" {
		finding.Object = &Object{Kind: p.Kind, ID: p.ID}
	}
	if volatile != "" {
		finding.Realm, finding.Place = InVolatile, volatile+volatileSeparator+p.Place
		finding.Derived = false // nobody mends what is gone with the next boot
	}
	c.add(finding)
}

// notePages notes what was found out about the pages of the file, or of that of
// volatile containers at a path.
func (c *checker) notePages(volatile string, pages *db.PageReport) {
	if pages == nil {
		return
	}
	if volatile == "" {
		c.report.Pages = Pages{TxID: pages.TxID, PageSize: pages.PageSize, Pages: pages.Pages, Free: pages.Free}
	}
	broken := slices.ContainsFunc(pages.Problems, func(p db.Problem) bool { return p.Code == db.ProblemPage })
	for _, problem := range pages.Problems {
		// What is below a damaged page seems to belong to nothing.
		if problem.Code != db.ProblemFree || !broken {
			c.noteProblem(volatile, problem)
		}
	}
}

// noteDamage notes what kept the database from being opened, if that was
// damage, and returns any other error.
func (c *checker) noteDamage(err error) error {
	if err == nil || !errors.Is(err, model.ErrCorrupt) {
		return err
	}
	why := oneLine(reason(err))
	c.unchecked("records, and what they refer to: %s", why)
	if !c.report.has(CodePage) {
		c.addDatabase(CodeFile, "a database that can be opened", why)
	}
	return nil
}

// oneLine returns the text of an error, or of several that are joined.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// reason returns what is wrong with a database, without the advice that the
// error gives to those who have not asked for a check.
func reason(err error) error {
	if damage, ok := errors.AsType[*db.DamageError](err); ok {
		return damage.Err
	}
	return err
}

// checkDatabase looks at everything in one database, which is that of volatile
// containers if it has a path; then what its records refer to may be beside it.
func (c *checker) checkDatabase(ctx context.Context, tx *db.ReadTx, volatile string, beside ...*db.ReadTx) error {
	problems, err := tx.Check(ctx, beside...)
	for _, problem := range problems {
		// What a record refers to may be made, or gone, when all has taken effect.
		if len(c.undecided) == 0 || !problem.Code.IsReference() {
			c.noteProblem(volatile, problem)
		}
	}
	if errors.Is(err, model.ErrCorrupt) {
		c.unchecked("a part of the records: %v", reason(err))
		err = nil
	}
	return err
}

// checkRecords looks at everything in the database of the store.
func (c *checker) checkRecords(ctx context.Context) error {
	main := c.tx[0]
	if err := c.checkDatabase(ctx, main, ""); err != nil {
		return err
	}
	info, err := main.Info()
	if err != nil {
		return intact(err)
	}
	c.report.UUID, c.report.Driver, c.report.Created = info.UUID, info.Driver, info.Created
	return c.countRecords(ctx)
}

// countRecords counts the records that can be read.
func (c *checker) countRecords(ctx context.Context) error {
	count := func(n *int) func() error {
		return func() error {
			*n++
			return context.Cause(ctx)
		}
	}
	layer, image, container := count(&c.report.Checked.Layers), count(&c.report.Checked.Images), count(&c.report.Checked.Containers)
	return errors.Join(
		intact(c.tx.EachLayer(func(*model.Layer) error { return layer() })),
		intact(c.tx.EachImage(func(*model.Image) error { return image() })),
		intact(c.tx.EachContainer(func(*model.Container) error { return container() })))
}

// intact passes over damaged records: what Check finds includes them.
func intact(err error) error {
	if errors.Is(err, model.ErrCorrupt) {
		return nil
	}
	return err
}
