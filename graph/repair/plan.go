package repair

import (
	"cmp"
	"context"
	"fmt"
	"math"
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
	// RunRoot is the run root, or "" if nothing is said about mounts.
	RunRoot string `json:"run-root,omitempty"`
	// UUID is that of the store.
	UUID string `json:"uuid"`
	// Others are the graph roots of other stores that are looked at, see
	// fsck.Options.
	Others []string   `json:"others,omitempty"`
	Depth  fsck.Depth `json:"depth"`
	// From are the paths of sources of content: roots of stores, OCI image
	// layouts, and files.
	From []string `json:"from,omitempty"`
	// Steps are what is to be done, in this order.
	Steps []Step `json:"steps"`
	// Left are the findings about which nothing is done.
	Left []fsck.Finding `json:"left"`

	// Progress is called when the store is checked once more, see fsck.Options.
	Progress func(total int64) func(n int64) `json:"-"`

	options fsck.Options
	txID    uint64 // of the state that the plan was made for
}

// Step is one thing that is done.
type Step struct {
	// Mend means that the database is mended, see db.Tx.Mend. Otherwise one of
	// the others is done.
	Mend       bool         `json:"mend,omitempty"`
	Fix        *drivers.Fix `json:"fix,omitempty"`
	Heal       *Heal        `json:"heal,omitempty"`
	Quarantine *Quarantine  `json:"quarantine,omitempty"`
	Reap       *Reap        `json:"reap,omitempty"`
	Forget     *Forget      `json:"forget,omitempty"`
	Hold       *Hold        `json:"hold,omitempty"`
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
	switch {
	case s.Mend:
		return "make anew what follows from the records of the database"
	case s.Heal != nil:
		return s.Heal.String()
	case s.Quarantine != nil:
		return s.Quarantine.String()
	case s.Reap != nil:
		return s.Reap.String()
	case s.Forget != nil:
		return s.Forget.String()
	case s.Hold != nil:
		return s.Hold.String()
	case s.Fix == nil:
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
		Schema: PlanSchema, Root: report.Root, RunRoot: options.RunRoot, UUID: report.UUID, Others: options.Others, Depth: report.Depth, From: from,
		Steps: []Step{}, Left: []fsck.Finding{}, Progress: options.Progress, options: options, txID: report.Pages.TxID,
	}
	if report.UUID == "" { // what cannot be read cannot be changed
		p.Left = report.Findings
		return p, nil
	}
	heals, err := findHeals(ctx, from, report.Findings)
	if err != nil {
		return nil, err
	}
	mend := Step{Mend: true}
	for i := range report.Findings {
		f := &report.Findings[i]
		cause := Cause{Code: f.Code, Place: f.Place, Expected: f.Expected, Found: f.Found}
		step := stepFor(f, heals[f])
		switch {
		case step != nil:
			step.Findings = []Cause{cause}
			p.Steps = append(p.Steps, *step)
		case f.Derived:
			mend.Findings = append(mend.Findings, cause)
		default:
			p.Left = append(p.Left, *f)
			p.quarantine(f, cause)
		}
	}
	slices.SortStableFunc(p.Steps, func(a, b Step) int { return cmp.Compare(a.order(), b.order()) })
	if len(mend.Findings) > 0 {
		p.Steps = slices.Insert(p.Steps, 0, mend)
	}
	return p, nil
}

// stepFor returns what is done about one finding, or nil if that is nothing, or
// not done for this one alone.
func stepFor(f *fsck.Finding, heal *Heal) *Step {
	switch {
	case heal != nil:
		return &Step{Heal: heal}
	case f.Derived:
		return nil
	case f.Fix != nil:
		return &Step{Fix: f.Fix, lock: f.Lock}
	case f.Code == fsck.CodeMark:
		return &Step{Quarantine: quarantineOf(f.Object, "")}
	case f.Trash != nil:
		return &Step{Reap: &Reap{Path: f.Trash.Path, Places: f.Trash.Places}, lock: f.Lock}
	case f.Mount != nil:
		return &Step{Forget: &Forget{Layer: f.Mount.Layer, Path: f.Mount.Path, mount: *f.Mount}}
	case f.Hold != nil:
		return &Step{Hold: &Hold{Hold: *f.Hold, Add: f.Code == fsck.CodeUnheld}}
	}
	return nil
}

// order puts what takes something away before what may need its place, and layers
// that are brought back before those on top of them.
func (s *Step) order() int {
	switch {
	case s.Fix != nil && s.Fix.Op == drivers.FixAway:
		return -1
	case s.Heal != nil && s.Heal.lost.Whole != nil:
		return len(s.Heal.lost.Whole.Layer.Below)
	}
	return math.MaxInt
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
	options.Root, options.RunRoot, options.Others, options.Depth, options.Progress = p.Root, p.RunRoot, p.Others, p.Depth, p.Progress
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
