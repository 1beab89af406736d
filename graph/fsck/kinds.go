package fsck

import (
	"slices"
	"strings"

	"github.com/csdb/csdb/drivers"
)

// Kind describes a kind of finding.
type Kind struct {
	Code Code
	// Severity is what findings of the kind have unless they say otherwise.
	Severity Severity
	// Effect is what does not work.
	Effect string
	// Remedies are what can be done, the best first. "{path}" in them stands
	// for the path of what was found, "{place}" for its place, "{id}" for the
	// object.
	Remedies []string
	// spreads tells that whatever uses the object suffers too.
	spreads bool
	// loss tells that content is gone or damaged, so that the object is put in
	// quarantine unless it is healed.
	loss bool
}

// What can be done about more than one kind of finding.
const (
	rescue        = "`csdb rescue` makes a new database from what can be read"
	restoreBackup = "`csdb restore FILE` puts a backup made by `csdb backup` in its place"
	rewrite       = "`csdb rescue --install` writes the database anew; all records are there"
	reimport      = "re-import what is affected: delete it (`containers-storage delete-container`, `delete-image`), then pull or load it again"
	heal          = "`csdb repair --from SOURCE`, with another store, an OCI image layout or a file that has it"
	healLayer     = "`csdb repair --from SOURCE`, with another store, an OCI image layout or the archive that it was imported from"
	quarantine    = "`csdb repair` without a source takes it out of use until it is whole again, and leaves all else in service"
	harmless      = "nothing need be done"
	afterBoot     = "when the machine has been booted again, volatile containers are gone"
	dropVolatile  = "remove {dir} while no program uses the store: the containers in it are lost then"
	notUrgent     = "nothing need be done at once: the records themselves are intact"
)

// Kinds describes all kinds of finding, ordered by code: those of this package
// and those of drivers.
func Kinds(registry drivers.Registry) []Kind {
	kinds := slices.Concat(databaseKinds(), referenceKinds(), contentKinds(), layerKinds(), debrisKinds())
	for _, driver := range registry {
		if driver.FaultKinds == nil {
			continue
		}
		for _, kind := range driver.FaultKinds() {
			severity := Repairable
			if kind.Loss {
				severity = Damage
			}
			kinds = append(kinds, Kind{
				Code: Code(kind.Code), Severity: severity, Effect: kind.Effect, Remedies: kind.Remedies, spreads: true, loss: kind.Loss,
			})
		}
	}
	slices.SortFunc(kinds, func(a, b Kind) int { return strings.Compare(string(a.Code), string(b.Code)) })
	return kinds
}

func databaseKinds() []Kind {
	return []Kind{
		{Code: CodeFile, Severity: Damage, Effect: "the store cannot be opened", Remedies: []string{rescue, restoreBackup}},
		{
			Code: CodeMode, Severity: Repairable, Effect: "others on this machine may read or change the store's records",
			Remedies: []string{"`chmod 0600 {path}`"},
		},
		{
			Code: CodeMarker, Severity: Repairable, Effect: "nothing, as long as the database is the right one",
			Remedies: []string{"nothing need be done: the next program that opens the store for writing makes it anew"},
		},
		{
			Code: CodeMeta, Severity: Repairable, Effect: "the other one is used; if the damaged one was the newer, the last change of the store is undone",
			Remedies: []string{"nothing need be done: each of the next two changes of the store writes one of them anew", "take a backup with `csdb backup` first"},
		},
		{
			Code: CodePage, Severity: Damage, Effect: "records in this page, or in those below it, cannot be read",
			Remedies: []string{rescue, restoreBackup},
		},
		{
			Code: CodeFree, Severity: Repairable, Effect: "space is lost, or the next change of the store may overwrite records",
			Remedies: []string{rewrite, restoreBackup},
		},
		{Code: CodeBucket, Severity: Damage, Effect: "the store cannot be used, or not by this version", Remedies: []string{rescue, restoreBackup}},
		{
			Code: CodeRecord, Severity: Damage, Effect: "the object cannot be used; all others can",
			Remedies: []string{"import it again under its ID, which makes the record anew", reimport, restoreBackup}, spreads: true,
		},
		{
			Code: CodeIndex, Severity: Repairable, Effect: "look-ups by name, digest or relation may miss the object, or find it in vain",
			Remedies: []string{notUrgent, restoreBackup},
		},
		{
			Code: CodeCount, Severity: Repairable, Effect: "sizes and what can be reclaimed are reported wrongly",
			Remedies: []string{notUrgent, restoreBackup},
		},
		{Code: CodeOrphan, Severity: Damage, Effect: "the record that the item belonged to is lost", Remedies: []string{restoreBackup, reimport}, spreads: true},
		{
			Code: CodeDoomed, Severity: Repairable, Effect: "whoever cleans up the store would remove content that is needed",
			Remedies: []string{"do not clean up the store before this is put right", restoreBackup}, spreads: true,
		},
	}
}

func referenceKinds() []Kind {
	return []Kind{
		{Code: CodeParent, Severity: Damage, Effect: "the layer, and what is on top of it, cannot be mounted, unless the driver copies layers", Remedies: []string{reimport}, spreads: true},
		{Code: CodeCycle, Severity: Damage, Effect: "none of the layers in the circle can be used", Remedies: []string{restoreBackup}, spreads: true},
		{Code: CodeLayer, Severity: Damage, Effect: "it cannot be mounted, or not in every mapping", Remedies: []string{reimport}, spreads: true},
		{
			Code: CodeImage, Severity: Damage, Effect: "what the image said about the container is gone; the container can be mounted",
			Remedies: []string{"import the image again under the same ID", "`containers-storage delete-container {id}`"}, spreads: true,
		},
		{Code: CodeShared, Severity: Damage, Effect: "the containers overwrite each other's files", Remedies: []string{"delete all but one of them"}, spreads: true},
		{
			Code: CodeHold, Severity: Repairable, Effect: "the object cannot be deleted, or what needs it in the other store cannot be used",
			Remedies: []string{"if the other store needs the object, import it again under the same ID", notUrgent},
		},
		{
			Code: CodeUnheld, Severity: Repairable, Effect: "who uses this store without the other one may delete what that one needs",
			Remedies: []string{notUrgent},
		},
		{
			Code: CodeAway, Severity: Info, Effect: "what refers to objects in that store cannot be used as long as it is away",
			Remedies: []string{"mount or bring back what ought to be there, or name where it is now with `csdb fsck --other DIR`"},
		},
		{Code: CodePlace, Severity: Repairable, Effect: "none", Remedies: []string{notUrgent}},
	}
}

func contentKinds() []Kind {
	return []Kind{
		{Code: CodeMissing, Severity: Damage, Effect: "the data item cannot be read", Remedies: []string{heal, reimport}, spreads: true, loss: true},
		{Code: CodeKind, Severity: Damage, Effect: "the data item cannot be read", Remedies: []string{heal, reimport}, spreads: true, loss: true},
		{Code: CodeSize, Severity: Damage, Effect: "the data item cannot be read", Remedies: []string{heal, reimport}, spreads: true, loss: true},
		{
			Code: CodeDigest, Severity: Damage, Effect: "what is read is not what was stored",
			Remedies: []string{heal, reimport}, spreads: true, loss: true,
		},
		{
			Code: CodeAccess, Severity: Repairable, Effect: "others on this machine may read or change the file",
			Remedies: []string{"`chmod 0600 {path}`"},
		},
		{
			Code: CodeOwner, Severity: Repairable, Effect: "its owner may read and change it; the owner of the store perhaps not",
			Remedies: []string{"`chown --reference=csdb.db {path}` in the graph root"},
		},
	}
}

func layerKinds() []Kind {
	return []Kind{
		{
			Code: CodeFolder, Severity: Damage, Effect: "nothing that belongs into the directory can be used",
			Remedies: []string{"mount what ought to be there, or bring it back from a copy", reimport},
		},
		{Code: drivers.FaultMissing, Severity: Damage, Effect: "the content of the layer is gone", Remedies: []string{reimport}, spreads: true, loss: true},
		{Code: drivers.FaultNoDir, Severity: Damage, Effect: "the content of the layer is gone", Remedies: []string{reimport}, spreads: true, loss: true},
		{
			Code: CodeContent, Severity: Damage, Effect: "whatever lies on the layer shows the wrong files, and its diff cannot be pushed or exported",
			Remedies: []string{"`csdb repair --depth contents --from SOURCE`, with another store, an OCI image layout or the archive", reimport}, spreads: true, loss: true,
		},
		{
			Code: CodeIncomplete, Severity: Damage, Effect: "a part of a diff has been applied to the layer, and a part perhaps not",
			Remedies: []string{"apply the diff once more (`containers-storage apply-diff {id}`)", reimport}, spreads: true,
		},
		{
			Code: CodeMark, Severity: Repairable, Effect: "it is not used although it could be",
			Remedies: []string{"import or store it again under its ID"}, spreads: true,
		},
		{Code: CodeUnreadable, Severity: Damage, Effect: "nobody can read it", Remedies: []string{"look into the kernel's log for errors of the disk", reimport}, spreads: true},
	}
}

func debrisKinds() []Kind {
	return []Kind{
		{
			Code: CodeStray, Severity: Repairable, Effect: "it takes space, and nothing else: nobody will ever use it",
			Remedies: []string{harmless, "remove {path} while no program uses the store"},
		},
		{
			Code: CodeVolatile, Severity: Info,
			Effect:   "content without a record is not told from that of volatile containers, so nothing is called " + string(CodeStray),
			Remedies: []string{"check the store as the user who has these containers", afterBoot},
		},
		{
			Code: CodeUndecided, Severity: Info,
			Effect:   "nothing is said about content without a record, and about records that refer to what is not there",
			Remedies: []string{"check the store again after a program has changed it: the first one brings the transaction to its end"},
		},
		{
			Code: CodeTrash, Severity: Info, Effect: "it takes space until it is removed",
			Remedies: []string{harmless, "`csdb gc` removes it"},
		},
		{
			Code: CodeMount, Severity: Info, Effect: "nothing: what the kernel does not show is taken for not mounted",
			Remedies: []string{harmless, "`containers-storage unmount {id}` forgets it"},
		},
		{
			Code: CodeBadLease, Severity: Repairable, Effect: "nothing in the store can be deleted: the lease may be about any object",
			Remedies: []string{"`csdb lease remove {place}` ends the lease", "booting the machine again ends all leases"},
		},
		{
			Code: CodeLease, Severity: Info, Effect: "who took the lease has not got the object that it is to keep, and an object that gets its ID cannot be deleted",
			Remedies: []string{"`csdb lease remove {place}` ends the lease"},
		},
	}
}
