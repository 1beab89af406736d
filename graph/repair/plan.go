package repair

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/csdb/csdb/drivers"
	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/model"
)

// PlanSchema names the format of a Plan in JSON, and its version. Fields may be
// added within one version.
const PlanSchema = "csdb.repair-plan/1"

// Plan says what is to be done to a store.
type Plan struct {
	Schema string `json:"schema"`
	Root   string `json:"root"`
	// UUID is that of the store.
	UUID  string     `json:"uuid"`
	Depth fsck.Depth `json:"depth"`
	// From are the paths of sources of content: roots of stores, OCI image
	// layouts, and files.
	From []string `json:"from,omitempty"`
	// Steps are what is to be done, in this order.
	Steps []Step `json:"steps"`
	// Left are the findings about which nothing is done.
	Left []fsck.Finding `json:"left"`

	options fsck.Options
	txID    uint64 // of the state that the plan was made for
}

// Step is one thing that is done.
type Step struct {
	// Mend means that the database is mended, see db.Tx.Mend. Otherwise Fix or
	// Heal is done.
	Mend bool         `json:"mend,omitempty"`
	Fix  *drivers.Fix `json:"fix,omitempty"`
	Heal *Heal        `json:"heal,omitempty"`
	// Findings are what it puts right.
	Findings []Cause `json:"findings"`

	lock string // see fsck.Finding
}

// Cause is a finding in short.
type Cause struct {
	Code     fsck.Code `json:"code"`
	Place    string    `json:"place"`
	Expected string    `json:"expected"`
	Found    string    `json:"found"`
}

// String says what the step does, for people.
func (s *Step) String() string {
	if s.Mend {
		return "make anew what follows from the records of the database"
	}
	if s.Heal != nil {
		return s.Heal.String()
	}
	if s.Fix == nil {
		return "nothing"
	}
	switch f := s.Fix; f.Op {
	case drivers.FixMkdir:
		return fmt.Sprintf("make the directory %s", f.Path)
	case drivers.FixWrite:
		return fmt.Sprintf("write %q into %s", f.Text, f.Path)
	case drivers.FixSymlink:
		return fmt.Sprintf("make %s a symbolic link to %s", f.Path, f.Text)
	case drivers.FixChmod:
		return fmt.Sprintf("set the mode of %s to %04o", f.Path, f.Mode)
	case drivers.FixChown:
		return fmt.Sprintf("set the owner of %s to %d", f.Path, f.Owner)
	case drivers.FixAway:
		return fmt.Sprintf("move %s to lost+found", f.Path)
	}
	return string(s.Fix.Op) + " " + s.Fix.Path
}

// Make checks a store, and plans what can be done about what is found. Content
// that is lost or damaged is looked for in the sources: the roots of other
// stores, OCI image layouts, and files, which may be compressed archives.
func Make(ctx context.Context, options fsck.Options, from ...string) (*Plan, error) {
	if options.Root == "" {
		return nil, fmt.Errorf("%w: only a store can be repaired, not a database file by itself", model.ErrInvalid)
	}
	report, err := fsck.Check(ctx, options)
	if err != nil {
		return nil, err
	}
	return plan(ctx, report, options, from)
}

func plan(ctx context.Context, report *fsck.Report, options fsck.Options, from []string) (*Plan, error) {
	p := &Plan{
		Schema: PlanSchema, Root: report.Root, UUID: report.UUID, Depth: report.Depth, From: from,
		Steps: []Step{}, Left: []fsck.Finding{}, options: options, txID: report.Pages.TxID,
	}
	readable := report.UUID != ""
	mend := Step{Mend: true}
	for _, f := range report.Findings {
		cause := Cause{Code: f.Code, Place: f.Place, Expected: f.Expected, Found: f.Found}
		var heal *Heal
		if f.Lost != nil && readable {
			var err error
			if heal, err = findHeal(ctx, from, f.Lost); err != nil {
				return nil, err
			}
		}
		switch {
		case heal != nil:
			p.Steps = append(p.Steps, Step{Heal: heal, Findings: []Cause{cause}})
		case f.Derived && readable:
			mend.Findings = append(mend.Findings, cause)
		case f.Fix != nil && readable:
			p.Steps = append(p.Steps, Step{Fix: f.Fix, Findings: []Cause{cause}, lock: f.Lock})
		default:
			p.Left = append(p.Left, f)
		}
	}
	slices.SortStableFunc(p.Steps, func(a, b Step) int { return cmp.Compare(a.order(), b.order()) })
	if len(mend.Findings) > 0 {
		p.Steps = slices.Insert(p.Steps, 0, mend)
	}
	return p, nil
}

// order puts what takes something away before what may need its place.
func (s *Step) order() int {
	if s.Fix != nil && s.Fix.Op == drivers.FixAway {
		return 0
	}
	return 1
}

// ErrMovedOn is the error when a store is not any more as a plan or the notes of
// a repair have it. It matches model.ErrInvalid.
var ErrMovedOn = fmt.Errorf("%w: the store has moved on", model.ErrInvalid)

// confirm makes the plan once more, and returns the new one if its steps are
// the same.
func (p *Plan) confirm(ctx context.Context) (*Plan, error) {
	if p.Schema != PlanSchema {
		return nil, fmt.Errorf("%w: a plan of format %q, want %q", model.ErrUnsupported, p.Schema, PlanSchema)
	}
	options := p.options
	options.Root, options.Depth = p.Root, p.Depth
	now, err := Make(ctx, options, p.From...)
	if err != nil {
		return nil, err
	}
	if now.UUID != p.UUID {
		return nil, fmt.Errorf("%w: the plan is for the store %s, and there is %s", ErrMovedOn, p.UUID, now.UUID)
	}
	missing, others := compare(p.Steps, now.Steps)
	if len(missing) > 0 || len(others) > 0 {
		return nil, fmt.Errorf("%w: %s; make a new plan", ErrMovedOn, describe(missing, others))
	}
	return now, nil
}

// deed is what is done about one finding.
type deed struct {
	Cause
	what string
}

// compare returns the causes for which only one of two plans does something, or
// for which they do not do the same.
func compare(planned, now []Step) (missing, others []Cause) {
	known := make(map[deed]int)
	for i := range planned {
		for _, cause := range planned[i].Findings {
			known[deed{cause, planned[i].String()}]++
		}
	}
	for i := range now {
		for _, cause := range now[i].Findings {
			d := deed{cause, now[i].String()}
			if known[d]--; known[d] < 0 {
				others = append(others, cause)
			}
		}
	}
	for d, n := range known {
		for range n {
			missing = append(missing, d.Cause)
		}
	}
	return missing, others
}

func describe(missing, others []Cause) string {
	var texts []string
	if len(missing) > 0 {
		texts = append(texts, fmt.Sprintf("%s at %s is not there any more, or something else would be done about it", missing[0].Code, missing[0].Place))
	}
	if len(others) > 0 {
		texts = append(texts, fmt.Sprintf("%s at %s is new", others[0].Code, others[0].Place))
	}
	return strings.Join(texts, ", ")
}

// errNoSteps is the error for a plan without steps.
var errNoSteps = fmt.Errorf("%w: there is nothing to be done", model.ErrInvalid)
