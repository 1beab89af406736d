package db

// SalvageNothing returns what is got out of a file that cannot be read: nothing.
func SalvageNothing(path string) *Salvaged { return newSalvaged(path, 0) }

// AddBackup takes from a backup what is missing. Objects that were deleted since
// stay deleted, as far as the journal tells.
func (s *Salvaged) AddBackup(backup *Salvaged) {
	for at, r := range backup.records {
		if !s.missing(r.path, at.key) || s.changedSince(r, backup.TxID()) {
			continue
		}
		added := *r
		added.Origin, added.Page = FromBackup, 0
		if there := s.records[at]; there == nil || added.compare(there) < 0 {
			s.records[at] = &added
		}
	}
	for in, greatest := range backup.greatest {
		s.greatest[in] = max(s.greatest[in], greatest)
	}
	s.settle()
}

// changedSince tells whether there is a version of a record that is newer than
// a backup: the object has been changed, as the journal tells, and something
// was found.
func (s *Salvaged) changedSince(r *SalvagedRecord, txID uint64) bool {
	kind, id, _ := r.Object()
	last, known := s.history[objectKey{kind: kind, id: id}]
	return known && last.txID > txID && s.records[recordKey{r.bucket, r.Key}] != nil
}
