// Package fsck finds out what is wrong with a store: with its database, with
// the links between records, and with the files and directories that the
// records speak of.
//
// Check reads and never writes, and needs no driver to work: it can look at a
// store that nobody can open any more, at a copy of one, at one on a read-only
// medium, and at a database file alone. While it looks at a store that is in
// use, programs that want to change it wait.
//
//	report, err := fsck.Check(ctx, fsck.Options{Root: "/var/lib/containers/storage"})
//	if err != nil {
//		return err // nothing could be checked
//	}
//	for _, finding := range report.Findings {
//		fmt.Println(finding.Severity, finding.Code, finding.Place)
//	}
//
// A Finding has a stable code, described by Kinds and in docs/fsck.md, and
// says what was expected and found, which images and containers suffer, and
// what can be done. What drivers keep in their directories they know best
// themselves: they look at it by drivers.Inspector.
package fsck
