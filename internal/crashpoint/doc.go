// Package crashpoint marks the places at which a crash is most interesting.
// Hit does nothing, and costs nothing, unless the program is built with the tag
// crashtest: then the process kills itself at the point that the environment
// variable CSDB_CRASHPOINT names, the way `kill -9` would.
package crashpoint

// The crash points, in the order in which an object of a store comes by them.
// Tests go through all of them.
const (
	ClaimLocked    = "claim:locked"    // a path is locked, nobody knows what for
	StageClaimed   = "stage:claimed"   // the path is claimed, nothing is there
	StageCreated   = "stage:created"   // the driver has made the directory
	StageUnpacked  = "stage:unpacked"  // the content is there, not the tar-split
	StageWritten   = "stage:written"   // content and tar-split are there, not synced
	StageSynced    = "stage:synced"    // all is durable, there is no record
	HealReplaced   = "heal:replaced"   // damaged content has been replaced, the record still says that it is damaged
	DataTemp       = "data:temp"       // a content file has its temporary name
	DataNamed      = "data:named"      // a content file has its name, which is not durable
	DiscardRemoved = "discard:removed" // staged content is gone, still noted as staged
	CommitBefore   = "commit:before"   // the transaction is ready to be committed
	CommitAfter    = "commit:after"    // it is committed, its content noted as staged
	ReleaseNoted   = "release:noted"   // committed content is no longer noted, but locked
	MakeCreated    = "make:created"    // an empty layer has its directory, not the record
	ApplyMarked    = "apply:marked"    // a layer is marked as being changed in place
	ApplyUnpacked  = "apply:unpacked"  // the content is changed, the record is not
	MountMounted   = "mount:mounted"   // a layer is mounted, the count is not stored
	UnmountDone    = "unmount:done"    // a layer is unmounted, the count is not stored
	DirMade        = "dir:made"        // an object has its directory
	ReapFound      = "reap:found"      // trash is known, and not locked
	ReapLocked     = "reap:locked"     // trash is about to be removed
	ReapRemoved    = "reap:removed"    // the content is gone, the entry is not
	RecoverFound   = "recover:found"   // what may be garbage is known, and not locked
	RecoverRemoved = "recover:removed" // garbage is gone, still noted as staged
)

// All lists the crash points.
func All() []string {
	return []string{
		ClaimLocked, StageClaimed, StageCreated, StageUnpacked, StageWritten, StageSynced, HealReplaced, DataTemp, DataNamed,
		DiscardRemoved, CommitBefore, CommitAfter, ReleaseNoted, MakeCreated, ApplyMarked, ApplyUnpacked,
		MountMounted, UnmountDone, DirMade, ReapFound, ReapLocked, ReapRemoved, RecoverFound, RecoverRemoved,
	}
}

// The crash points of a transaction over several databases, and of settling one
// that was interrupted.
const (
	SeveralDecided   = "several:decided"   // nothing is committed yet
	SeveralPrepared  = "several:prepared"  // one more database has noted what is to be changed
	SeveralCommitted = "several:committed" // the coordinator has committed the decision
	SeveralFulfilled = "several:fulfilled" // one more database has made the changes
	SettleKnown      = "settle:known"      // the outcome is known, nothing is done yet
)

// Several lists the crash points of transactions over several databases.
func Several() []string {
	return []string{SeveralDecided, SeveralPrepared, SeveralCommitted, SeveralFulfilled, SettleKnown}
}

// Variable is the environment variable that names the point at which to crash:
// "POINT", or "POINT=N" for the N-th time that the point is hit. With
// "POINT=N=stop" the process does not die there but stops, the way `kill -STOP`
// would do it, and goes on when it gets a SIGCONT.
const Variable = "CSDB_CRASHPOINT"
