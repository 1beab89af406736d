package fsck

// Code names a kind of finding. Codes are stable: they may be added, and never
// change their meaning. Drivers have further ones, see drivers.FaultKind.
type Code string

// The codes of the database file.
const (
	CodeFile   Code = "DB-FILE"   // it is missing, or no database
	CodeMode   Code = "DB-MODE"   // others may read or write it
	CodeMarker Code = "DB-MARKER" // the marker beside it is missing, damaged or another store's
	CodeMeta   Code = "DB-META"   // one of its two meta pages is damaged
	CodePage   Code = "DB-PAGE"   // a page is damaged
	CodeFree   Code = "DB-FREE"   // the list of free pages is wrong
	CodeBucket Code = "DB-BUCKET" // a bucket is missing or unknown
	CodeRecord Code = "DB-RECORD" // a value is damaged or makes no sense
	CodeIndex  Code = "DB-INDEX"  // an index entry is missing or wrong, or stands for nothing
	CodeCount  Code = "DB-COUNT"  // a count or a sum is wrong
	CodeOrphan Code = "DB-ORPHAN" // a data item belongs to no object
	CodeDoomed Code = "DB-DOOMED" // something is both needed and to be removed
)

// The codes of references between records.
const (
	CodeParent Code = "REF-PARENT" // a layer's parent does not exist
	CodeCycle  Code = "REF-CYCLE"  // a layer is its own ancestor
	CodeLayer  Code = "REF-LAYER"  // the layer of an image or a container does not exist
	CodeImage  Code = "REF-IMAGE"  // a container's image does not exist
	CodeShared Code = "REF-SHARED" // two containers have one layer
	CodeHold   Code = "REF-HOLD"   // it is noted that another store needs an object, and there is no such object or store, or it does not
	CodePlace  Code = "REF-PLACE"  // it is noted where an object is to which nothing refers
	CodeUnheld Code = "REF-UNHELD" // another store needs an object, and that is not noted
	CodeAway   Code = "STORE-AWAY" // a store that has objects to which records refer cannot be looked at
)

// The codes of files and directories.
const (
	CodeFolder     Code = "FOLDER"           // a directory of the store is missing or something else
	CodeMissing    Code = "DATA-MISSING"     // a content file is missing
	CodeKind       Code = "DATA-KIND"        // what has its name is not a regular file
	CodeSize       Code = "DATA-SIZE"        // it is too long or too short
	CodeDigest     Code = "DATA-DIGEST"      // it has other bytes than were stored
	CodeAccess     Code = "DATA-ACCESS"      // others may read or write it
	CodeOwner      Code = "DATA-OWNER"       // it belongs to somebody else
	CodeContent    Code = "LAYER-CONTENT"    // a layer's files do not give its diff
	CodeIncomplete Code = "LAYER-INCOMPLETE" // a layer's content was being changed
	CodeMark       Code = "DAMAGE-MARK"      // what is marked as damaged is whole
	CodeUnreadable Code = "UNREADABLE"       // the disk, or whatever is below, reports an error
	CodeStray      Code = "STRAY"            // content without a record
	CodeVolatile   Code = "VOLATILE"         // nobody knows what belongs to volatile containers
	CodeUndecided  Code = "UNDECIDED"        // a transaction over several stores was interrupted
	CodeTrash      Code = "TRASH"            // content that is to be removed
	CodeMount      Code = "MOUNT-STALE"      // a mount that is noted is not there
	CodeBadLease   Code = "LEASE-RECORD"     // a lease cannot be read
	CodeLease      Code = "LEASE-STALE"      // a lease is about an object that does not exist
)
