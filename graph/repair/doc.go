// Package repair puts right what package fsck finds, as far as that needs
// nothing from outside the store, and can take it back again.
//
// A Plan says what would be done, step by step, and changes nothing. Apply
// carries out exactly that plan, or refuses if the store has moved on. Before
// it changes anything it copies the database, and it notes each change of a file
// before it makes it; Undo goes back along these notes. Nothing is deleted: what
// does not belong into the store is moved to a directory below lost+found in
// the graph root, which also has the plan, the copy of the database, and the
// notes.
//
//	plan, err := repair.Make(ctx, fsck.Options{Root: root})
//	if err == nil && len(plan.Steps) > 0 {
//		result, err = repair.Apply(ctx, plan)
//	}
//
// What can only be healed with content from elsewhere, or not at all, is listed
// in Plan.Left with what can be done about it.
package repair
