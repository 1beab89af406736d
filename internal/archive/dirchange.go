package archive

// dirEvent is what happened to one entry of a directory.
type dirEvent int

const (
	nothing dirEvent = iota // nothing that changes the directory itself
	addition
	deletion
)

// dirEvents is what happened to all entries of a directory.
type dirEvents struct{ additions, deletions bool }

func (e *dirEvents) note(event dirEvent) {
	e.additions = e.additions || event == addition
	e.deletions = e.deletions || event == deletion
}

// dirVerdict is how a directory itself differs from the older one.
type dirVerdict struct{ attributes, time bool }

// judge compares two directories, without what is in them.
func judge(old, now *located) (dirVerdict, error) {
	attributes, err := attributesDiffer(old, now)
	return dirVerdict{attributes: attributes, time: !sameTime(old.stat.Mtim, now.stat.Mtim)}, err
}

// modified tells whether the directory counts as modified. A deletion changes
// its time and is listed as such; that does not make a change of its own.
func (v dirVerdict) modified(happened dirEvents) bool {
	return v.attributes || happened.additions || v.time && !happened.deletions
}
