package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	urfave "github.com/urfave/cli/v2"

	"github.com/csdb/csdb/graph/fsck"
	"github.com/csdb/csdb/graph/repair"
	"github.com/csdb/csdb/model"
)

type repairStore struct {
	dryRun, yes, undo, list bool
	depth, plan, id         string
	from, other             urfave.StringSlice
}

func (p *program) repairCommand() *urfave.Command {
	o := &repairStore{}
	return p.command(urfave.Command{
		Name: "repair", Usage: "put right what fsck finds, or take that back",
		Description: `
Checks the store, shows what can be done about each finding, asks, and does it:
makes anew what follows from the records, restores the short names of layers
and the modes of files, and moves what has no record to lost+found. Nothing is
deleted. Contents that are missing or damaged are brought back from the sources
that --from names: another store, an OCI image layout, or a file, such as the
archive that a layer was imported from. A source is used only if its content
agrees with the digest that is recorded. Files of layers are compared at the depth
contents. What cannot be brought back is put in quarantine, and everything else
stays in use: nothing is mounted on a damaged layer, made from it, or read from a
damaged file any more. It gets out by another repair with a source, when the layer is
imported again under its ID, or when the file is stored anew.

Before anything is changed the database is copied, and each change is noted, in
a directory below lost+found in the graph root; --undo goes back along these
notes, also after a repair that was broken off. It refuses if what was repaired
has changed since.

With --json --dry-run the plan is written, to be reviewed, and carried out with
--plan: exactly as it is, or not at all if the store has moved on.

Examples:

  csdb repair --dry-run
  csdb repair --yes
  csdb repair --depth contents --from /mnt/other/storage --from layer.tar.gz
  csdb repair --dry-run --json >plan.json && csdb repair --plan plan.json
  csdb repair --undo`,
		Flags: []urfave.Flag{
			&urfave.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "show the plan and change nothing", Destination: &o.dryRun},
			&urfave.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask", Destination: &o.yes},
			&urfave.StringFlag{Name: "plan", Usage: "carry out the plan in `FILE`, - for the standard input", Destination: &o.plan},
			&urfave.StringFlag{Name: "depth", Usage: "`DEPTH` of the check: structure, references or contents", Destination: &o.depth},
			&urfave.StringSliceFlag{Name: "from", Usage: "bring contents back from the store, the OCI image layout or the file `PATH`; may be repeated", Destination: &o.from},
			otherFlag(&o.other),
			&urfave.BoolFlag{Name: "undo", Usage: "take back a repair, the latest unless --id names one", Destination: &o.undo},
			&urfave.StringFlag{Name: "id", Usage: "the `REPAIR` to be taken back, as --list has it", Destination: &o.id},
			&urfave.BoolFlag{Name: "list", Usage: "list the repairs that can be taken back", Destination: &o.list},
		},
	}, arity{0, 0}, o)
}

func (o *repairStore) run(ctx context.Context, s *session, _ []string) error {
	if err := o.check(); err != nil {
		return &usageError{command: "repair", err: err}
	}
	switch {
	case o.list:
		return o.listRepairs(s)
	case o.undo:
		return o.takeBack(ctx, s)
	}
	plan, err := o.planOf(ctx, s)
	if errors.Is(err, fs.ErrNotExist) && o.plan == "" {
		return fmt.Errorf("%w: %w", errNoStore, err)
	}
	if err != nil {
		return err
	}
	if o.dryRun && s.json {
		return s.writePretty(plan)
	}
	if !s.json {
		s.writePlan(plan)
	}
	if o.dryRun || len(plan.Steps) == 0 {
		if s.json {
			return s.writeJSON(repaired{Left: plan.Left})
		}
		return statusOfLeft(plan.Left)
	}
	if err := o.ask(s, plan); err != nil {
		return err
	}
	return o.apply(ctx, s, plan)
}

// check looks whether the flags make sense together.
func (o *repairStore) check() error {
	switch {
	case o.undo && (o.dryRun || o.plan != "" || o.depth != "" || o.list || len(o.from.Value())+len(o.other.Value()) > 0):
		return errors.New("--undo goes with --id and --yes only")
	case o.list && (o.dryRun || o.plan != "" || o.depth != "" || len(o.other.Value()) > 0):
		return errors.New("--list stands alone")
	case o.id != "" && !o.undo:
		return errors.New("--id goes with --undo")
	case o.plan != "" && (o.depth != "" || len(o.from.Value())+len(o.other.Value()) > 0):
		return errors.New("depth, sources and other stores are those of the plan")
	}
	return nil
}

// planOf reads the plan, or makes one.
func (o *repairStore) planOf(ctx context.Context, s *session) (*repair.Plan, error) {
	if o.plan == "" {
		from, err := absolute(o.from.Value())
		if err != nil {
			return nil, err
		}
		steps := &steps{Env: s.Env}
		defer steps.end()
		others, err := absolute(o.other.Value())
		if err != nil {
			return nil, err
		}
		return repair.Make(ctx, fsck.Options{
			Root: s.settings.root, RunRoot: s.settings.runRoot, Others: others, Driver: s.settings.driver,
			Depth: fsck.Depth(o.depth), Wait: max(s.settings.timeout, 0), Progress: steps.reading,
		}, from...)
	}
	text, err := o.readPlan(s)
	if err != nil {
		return nil, err
	}
	plan := &repair.Plan{}
	if err := json.Unmarshal(text, plan); err != nil {
		return nil, fmt.Errorf("plan %s: %w: %w", o.plan, model.ErrInvalid, err)
	}
	if plan.Root != s.settings.root {
		return nil, fmt.Errorf("plan %s: %w: it is for the store in %s and not for that in %s", o.plan, model.ErrInvalid, plan.Root, s.settings.root)
	}
	return plan, nil
}

// absolute makes paths absolute, so that a plan means the same everywhere.
func absolute(paths []string) ([]string, error) {
	var all []string
	for _, path := range paths {
		path, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		all = append(all, path)
	}
	return all, nil
}

func (o *repairStore) readPlan(s *session) ([]byte, error) {
	if o.plan == "-" {
		return io.ReadAll(s.Stdin)
	}
	return os.ReadFile(o.plan)
}

func (s *session) writePlan(plan *repair.Plan) {
	for i := range plan.Left {
		s.writeFinding(&plan.Left[i])
	}
	for i := range plan.Steps {
		step := &plan.Steps[i]
		fmt.Fprintf(s.Stdout, "%d. %s\n", i+1, clean(step.String()))
		for _, cause := range step.Findings {
			fmt.Fprintf(s.Stdout, "   for %s at %s\n", cause.Code, clean(cause.Place))
		}
	}
	fmt.Fprintf(s.Stdout, "%s to be done; after that %s left\n",
		plural(int64(len(plan.Steps)), "step"), many(len(plan.Left), "finding is", "findings are"))
}

// ask asks whether a plan is to be carried out, unless that has been said.
func (o *repairStore) ask(s *session, plan *repair.Plan) error {
	if o.yes || o.plan != "" && o.plan != "-" {
		return nil
	}
	question := fmt.Sprintf("Carry out %s?", plural(int64(len(plan.Steps)), "step"))
	return s.ask(question, "--yes, or --plan with a plan that was reviewed")
}

// repaired is what came of a repair.
type repaired struct {
	*repair.Result
	Left []fsck.Finding `json:"left"`
}

func (o *repairStore) apply(ctx context.Context, s *session, plan *repair.Plan) error {
	steps := &steps{Env: s.Env}
	plan.Progress = steps.reading
	result, err := repair.Apply(ctx, plan)
	steps.end()
	if err != nil {
		if result != nil {
			err = fmt.Errorf("%w; what was done is noted in %s, and `csdb repair --undo` takes it back", err, result.Dir)
		}
		return err
	}
	if s.json {
		err = s.writeJSON(repaired{Result: result, Left: plan.Left})
	} else {
		fmt.Fprintf(s.Stdout, "done: %s, %s of the database; `csdb repair --undo` takes it back\n",
			plural(int64(result.Steps), "step"), many(result.Entries, "entry", "entries"))
	}
	return errors.Join(err, statusOfLeft(plan.Left))
}

// statusOfLeft is the exit status when some findings are left.
func statusOfLeft(left []fsck.Finding) error {
	status := exitOK
	for i := range left {
		switch left[i].Severity {
		case fsck.Damage:
			return statusError(exitDamaged)
		case fsck.Repairable:
			status = exitRepairable
		case fsck.Info:
		}
	}
	return ending(status)
}

func (o *repairStore) takeBack(ctx context.Context, s *session) error {
	undone, err := repair.Undo(ctx, s.settings.root, o.id)
	if err != nil {
		return err
	}
	if s.json {
		return s.writeJSON(undone)
	}
	fmt.Fprintf(s.Stdout, "%s of %s was taken back\n", undone.ID, undone.Time.Local().Format("2006-01-02 15:04:05"))
	return nil
}

func (o *repairStore) listRepairs(s *session) error {
	all, err := repair.List(s.settings.root)
	if err != nil {
		return err
	}
	if s.json {
		return s.writeJSON(append([]repair.Repair{}, all...))
	}
	table := s.table()
	fmt.Fprintln(table, "ID\tTIME\tSTATE")
	for _, r := range all {
		state := "done"
		switch {
		case r.Undone:
			state = "taken back"
		case !r.Done:
			state = "broken off"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", r.ID, r.Time.Local().Format("2006-01-02 15:04:05"), state)
	}
	return table.Flush()
}
