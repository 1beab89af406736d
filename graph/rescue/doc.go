// Package rescue makes a new database for a store whose database is damaged or
// missing, out of everything that is left: the newest state that can be read,
// the state one transaction before, records in pages that nothing leads to any
// more, a backup, and at last the directories and files of the contents.
//
// Rescue writes a new file beside the old one and tells, record by record, where
// each came from and what is lost. Install puts that file in place and keeps the
// old one.
//
//	report, err := rescue.Rescue(ctx, rescue.Options{Root: root, Output: root + "/csdb.db.rescued"})
//	if err != nil {
//		return err
//	}
//	kept, err := rescue.Install(ctx, report, time.Now())
//
// Everywhere else an object exists exactly if a record says so, and nothing is
// concluded from a directory. Here alone that is done, and only if it is asked
// for by Options.FromFiles.
package rescue
